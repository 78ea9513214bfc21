import type { FileProgress } from '../../worker/protocol';
import { formatBytes } from '../shared/format';
import { Icon } from '../shared/icon';

/** The files of a load: what is there of each. `local`: they are read from this computer. */
export function LoadingFiles({ files, local }: { files: readonly FileProgress[]; local: boolean }) {
  const coming = local ? 'file' : 'download';
  return (
    <ul className="loading-files xs" aria-label="Files">
      {files.map(({ name, done, total }) => (
        <li key={name}>
          <span className={done < total ? 't3' : 'ok'}>
            <Icon name={done < total ? coming : 'check'} size={13} />
          </span>
          <span className="mono ell" title={name}>
            {name}
          </span>
          <span className="track" aria-hidden="true">
            <b style={{ width: `${(done / Math.max(1, total)) * 100}%` }} />
          </span>
          <span className="t2 num">{state(done, total)}</span>
        </li>
      ))}
    </ul>
  );
}

function state(done: number, total: number): string {
  if (done === 0) return `waiting, ${formatBytes(total)}`;
  return done < total ? `${formatBytes(done)} of ${formatBytes(total)}` : formatBytes(total);
}
