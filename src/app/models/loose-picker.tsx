import { useEffect, useRef, useState } from 'react';
import { formatBytes } from '../shared/format';
import { Icon } from '../shared/icon';
import { useDesk, useServices } from '../store/app-services';
import { addLooseFiles, loadLooseFiles } from './choose-model';
import { missingFiles } from './loose-files';

/** More missing files than these are counted. */
const FEW = 4;

/** A checkpoint's files chosen one after another: what is there, what is still missing, and the way on. */
export function LoosePicker() {
  const services = useServices();
  const input = useRef<HTMLInputElement>(null);
  const files = useDesk(({ loose }) => loose);
  const missing = useMissing(files);
  const choose = (rest: readonly File[]) => services.client.desk.tell({ type: 'page/loose', files: rest });
  return (
    <div className="loose" data-testid="loose-files">
      <button type="button" className="model-row" onClick={() => input.current?.click()}>
        <Icon name="file" size={15} />
        <span className="med">Choose its files one by one</span>
        <span className="t3 sm model-note">
          config.json, the tokenizer’s files, safetensors, in any order
        </span>
      </button>
      <input
        ref={input}
        type="file"
        hidden
        multiple
        aria-label="Model files"
        accept=".safetensors,.json,.txt"
        onChange={(event) => {
          const picked = [...(event.target.files ?? [])];
          event.target.value = '';
          void addLooseFiles(services, picked);
        }}
      />
      {files.length > 0 && (
        <>
          <ul>
            {files.map((file) => (
              <li key={file.name} className="row xs">
                <span className="mono ell" title={file.name}>
                  {file.name}
                </span>
                <span className="sp t3 num">{formatBytes(file.size)}</span>
                <button
                  type="button"
                  className="ib small"
                  aria-label={`Leave out ${file.name}`}
                  onClick={() => choose(files.filter((other) => other !== file))}
                >
                  <Icon name="x" size={12} />
                </button>
              </li>
            ))}
          </ul>
          <p className="sm t2" role="status">
            {missing &&
              (missing.length > 0 ? `Still missing: ${listed(missing)}.` : 'All that is needed is there.')}
          </p>
          <div className="row">
            <button
              type="button"
              className="btn"
              disabled={missing?.length !== 0}
              onClick={() => void loadLooseFiles(services)}
            >
              Load these files
            </button>
            <button type="button" className="btn q" onClick={() => choose([])}>
              Clear
            </button>
          </div>
        </>
      )}
    </div>
  );
}

/** What a set of files lacks; undefined until it is known. */
function useMissing(files: readonly File[]): readonly string[] | undefined {
  const [known, setKnown] = useState<{ of: readonly File[]; missing: readonly string[] }>();
  useEffect(() => {
    let gone = false;
    void missingFiles(files).then((missing) => {
      if (!gone) setKnown({ of: files, missing });
    });
    return () => {
      gone = true;
    };
  }, [files]);
  return known?.of === files ? known.missing : undefined;
}

function listed(names: readonly string[]): string {
  const rest = names.length - FEW;
  return rest > 0 ? `${names.slice(0, FEW).join(', ')} and ${rest} more` : names.join(', ');
}
