import { useEffect, useRef, useState } from 'react';
import type { DataReport } from '../../worker/training-protocol';
import { Icon } from '../shared/icon';
import { FolderButton } from './folder-button';
import { OwnQuestions } from './own-questions';
import { chosenData } from './setup-store';
import { useSetup, useTrainServices } from './train-services';

const KINDS = [
  { value: 'toy', label: 'Toy world, endless' },
  { value: 'files', label: 'A JSONL file and videos' },
  { value: 'own', label: 'Questions of your own' },
] as const;

/** Where the questions come from, and what is wrong with them. */
export function DataChoice() {
  const { setup } = useTrainServices();
  const data = useSetup((state) => state.data);
  return (
    <div className="data-choice" data-testid="data-choice">
      <label>
        <span className="hidden">Questions from</span>
        <select
          className="pill"
          value={data}
          onChange={(event) => setup.setState({ data: event.target.value as typeof data })}
        >
          {KINDS.map(({ value, label }) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      </label>
      {data === 'files' && <Files />}
      {data === 'own' && <OwnQuestions />}
      {data !== 'toy' && <Report />}
    </div>
  );
}

function Files() {
  const { setup } = useTrainServices();
  const questions = useSetup((state) => state.questions);
  const videos = useSetup((state) => state.videos);
  const coldStart = useSetup((state) => state.config.stage === 'cold-start');
  const file = useRef<HTMLInputElement>(null);
  return (
    <div className="data-files">
      <button type="button" className="btn small" onClick={() => file.current?.click()}>
        <Icon name="file" size={14} />
        <span className="ell">{questions ? questions.name : 'JSONL file'}</span>
      </button>
      <input
        ref={file}
        type="file"
        hidden
        accept=".jsonl,.json,.txt"
        aria-label="JSONL file"
        data-testid="questions-file"
        onChange={(event) => {
          const [chosen] = event.target.files ?? [];
          if (chosen) setup.setState({ questions: chosen });
          event.target.value = '';
        }}
      />
      <FolderButton className="btn small" onChoose={(chosen) => setup.setState({ videos: chosen })}>
        {videos ? `${videos.folder}, ${videos.videos.length} files` : 'Video folder'}
      </FolderButton>
      <p className="xs t3">
        {coldStart ? (
          <>
            <code>video</code> and <code>conversations</code>, as in the cold start’s file of the original.
          </>
        ) : (
          <>
            Lines of <code>problem</code>, <code>solution</code>, <code>video_filename</code>, as in the
            original.
          </>
        )}{' '}
        Nothing is uploaded.
      </p>
    </div>
  );
}

/** What the engine says about the data, checked anew whenever another file is chosen. */
function Report() {
  const { training, setup: store } = useTrainServices();
  const setup = useSetup((state) => state);
  const { questions, videos, own, data, report } = setup;
  const [failure, setFailure] = useState<string>();
  // biome-ignore lint/correctness/useExhaustiveDependencies: other parts of the setup do not matter
  useEffect(() => {
    const chosen = chosenData(setup);
    const setReport = (found: DataReport | undefined) => store.setState({ report: found });
    setReport(undefined);
    setFailure(undefined);
    if (!chosen) return;
    let stale = false;
    training.checkData(chosen).then(
      (checked) => !stale && setReport(checked),
      (error: Error) => !stale && setFailure(error.message),
    );
    return () => {
      stale = true;
    };
  }, [questions, videos, own, data, training]);
  if (failure) return <p className="field-problem">{failure}</p>;
  if (!report) return chosenData(setup) ? <p className="xs t3">Checking the questions.</p> : null;
  const { usable, total, held_out, problems, problem_count, traces } = report;
  return (
    <div data-testid="data-report">
      <p className={`xs row ${problem_count > 0 ? 'warn-text' : 't2'}`}>
        {problem_count === 0 && <Icon name="check" size={13} weight={1.8} />}
        {usable} of {total} {traces ? 'traces' : total === 1 ? 'question' : 'questions'} can be used
        {traces ? '' : `, ${held_out} held out`}
      </p>
      {problem_count > 0 && (
        <details className="data-problems">
          <summary>
            {problem_count} {problem_count === 1 ? 'line' : 'lines'} left out
          </summary>
          <ul>
            {problems.map(({ line, code, message }) => (
              <li key={`${line} ${code}`}>
                <span className="t3">{line}</span> {message}
              </li>
            ))}
          </ul>
          {problem_count > problems.length && (
            <p className="xs t3">The first {problems.length} are listed.</p>
          )}
        </details>
      )}
    </div>
  );
}
