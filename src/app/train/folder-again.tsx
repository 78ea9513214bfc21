import { useEffect, useState } from 'react';
import type { RunSummary } from '../../worker/training-protocol';
import { ErrorMessage } from '../shared/message';
import { FolderButton } from './folder-button';
import { keptFolder } from './kept-folders';
import { useRunActions } from './use-run-actions';

/** After a reload a run's videos are asked for again: the permission to read their folder, or the folder itself. */
export function FolderAgain({ run: { run, name, folder } }: { run: RunSummary }) {
  const actions = useRunActions();
  const [kept, setKept] = useState<string>();
  useEffect(() => {
    let stale = false;
    setKept(undefined);
    void keptFolder(run).then((handle) => !stale && setKept(handle?.name));
    return () => {
      stale = true;
    };
  }, [run]);
  const message = kept
    ? `The questions are kept with the run, and the browser remembers the folder ${kept}. Allow the page to read it, and the run goes on where it was.`
    : `The questions are kept with the run, the videos are not. Choose the folder that it began with${folder ? `, ${folder}` : ''}, and the run goes on where it was.`;
  return (
    <ErrorMessage
      error={{ code: 'videos-again', title: `${name} needs its videos again.`, message }}
      icon="folder"
      tone="warn"
      testId="run-message"
    >
      {kept && (
        <button type="button" className="btn" onClick={() => actions.resume(run)}>
          Allow reading {kept}
        </button>
      )}
      <FolderButton
        className={kept ? 'btn q' : 'btn'}
        onChoose={(chosen) => actions.resume(run, { folder: chosen })}
      >
        {kept ? 'Choose another folder' : 'Choose the folder'}
      </FolderButton>
    </ErrorMessage>
  );
}
