import type { ModelPlan } from '../../worker/model-protocol';
import { formatBytes } from '../shared/format';

/** More files than these are not listed until they are asked for. */
const FEW = 4;

/** The files that the weights come from, with what is taken of each. */
export function PlanFiles({
  plan: { download, files, weight_files },
  from,
}: {
  plan: ModelPlan;
  from: boolean;
}) {
  const count = `${weight_files.length} ${weight_files.length === 1 ? 'file' : 'files'} of weights`;
  const taken = `${formatBytes(download)}${download < files ? ` of ${formatBytes(files)}` : ''}`;
  return (
    <details className="plan-files" open={weight_files.length <= FEW} data-testid="plan-files">
      <summary>
        <span className="med">{count}</span>
        <span className="t3 sm">
          {taken}
          {download < files && `: what no answer depends on is not ${from ? 'fetched' : 'read'}`}
        </span>
      </summary>
      <ul>
        {weight_files.map(({ name, bytes, used }) => (
          <li key={name}>
            <span className="mono ell" title={name}>
              {name}
            </span>
            <span className="t2 num">
              {formatBytes(used)}
              {used < bytes ? ` of ${formatBytes(bytes)}` : ''}
            </span>
          </li>
        ))}
      </ul>
    </details>
  );
}
