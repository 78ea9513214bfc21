import { ErrorMessage } from '../shared/message';
import { useServices } from '../store/app-services';
import { FolderAgain } from './folder-again';
import type { Planned } from './memory-plan';
import { RewardFailed } from './reward-failed';
import { OutOfMemory, TooLarge, Ways } from './too-large';
import { useLive, useRecord, useSetup, useTraining, useTrainServices } from './train-services';
import { isActive, type RunRecord } from './training-state';
import { useRunActions } from './use-run-actions';

/** What went wrong with the run or deserves a word, each with its way out. */
export function RunMessages({ planned }: { planned: Planned }) {
  const { training } = useTrainServices();
  const error = useTraining((state) => state.error);
  const record = useRecord();
  const config = useSetup((setup) => setup.config);
  return (
    <div className="run-messages">
      {error && (
        <ErrorMessage error={error} icon="x" testId="train-error">
          <Ways config={record?.config ?? config} fits={error.suggestions} another={record !== undefined} />
          {error.code === 'storage-full' && <ManageStorage />}
          <button type="button" className="btn q" onClick={() => training.setError(undefined)}>
            Close
          </button>
        </ErrorMessage>
      )}
      {record ? <OfRun record={record} planned={planned} /> : <TooLarge config={config} planned={planned} />}
    </div>
  );
}

function ManageStorage() {
  const { view } = useServices();
  return (
    <button type="button" className="btn" onClick={() => view.setState({ drawerOpen: true })}>
      Delete a run
    </button>
  );
}

/** Of the run that is shown: why it stands still, or from where it went on. */
function OfRun({ record, planned }: { record: RunRecord; planned: Planned }) {
  const { training } = useTrainServices();
  const actions = useRunActions();
  const live = useLive();
  // What made a run fail stands above already, with its way out.
  const told = useTraining((state) => state.error !== undefined);
  const { run, events, checkpoints } = record;
  const state = live?.state ?? run.state;
  const last = events.findLast(({ code }) => code !== 'saved' && code !== 'eval');
  if (isActive(live)) {
    const { repeats, message } = live ?? {};
    if (message && last?.code === 'storage-full') return <StorageFull message={message} />;
    if (!repeats || run.step >= repeats.reached) return null;
    const count = repeats.reached - repeats.from;
    return (
      <ErrorMessage
        error={{
          code: 'resumed',
          title: `${run.name} goes on from step ${repeats.from}.`,
          message: `It had reached step ${repeats.reached}. Weights, optimiser and random state come from the last save, so ${count} ${count === 1 ? 'step is' : 'steps are'} repeated.`,
        }}
        icon="loop"
        tone="warn"
        testId="run-message"
      >
        <button type="button" className="btn" onClick={() => training.pause()}>
          Pause
        </button>
      </ErrorMessage>
    );
  }
  if (state === 'paused' && last?.code === 'reward-failed')
    return (
      <RewardFailed
        record={record}
        message={
          live?.message?.replace(/^The reward function failed\.\s*/, '') ??
          `${sentence(last.text)} The run is paused and this step was not used.`
        }
      />
    );
  if (state === 'paused' && last?.code === 'storage-full')
    return <StorageFull message={live?.message ?? 'The last checkpoint could not be written.'} />;
  if (state === 'paused' && last?.code === 'out-of-memory')
    return (
      <OutOfMemory
        record={record}
        text={sentence(last.text)}
        planned={planned}
        suggestions={live?.suggestions}
      />
    );
  if (state === 'paused' && last?.code === 'kl-high') {
    const kl = record.lines.at(-1)?.kl;
    const back = checkpoints.findLast((step) => step < run.step);
    const then = back === undefined ? undefined : record.lines.find(({ step }) => step === back)?.kl;
    return (
      <ErrorMessage
        error={{
          code: 'kl-high',
          title: `KL is high${kl === undefined ? '' : `: ${kl.toFixed(2)}`}, your limit is ${record.config.kl_limit}.`,
          message: `The model has drifted far from where it began and may lose its format. Raise beta or lower learning_rate in the setup, then keep going${back === undefined ? '' : ` or go back to step ${back}${then === undefined ? '' : ` (KL ${then.toFixed(2)})`}`}.`,
        }}
        icon="info"
        tone="warn"
        testId="run-message"
      >
        {back !== undefined && (
          <button type="button" className="btn" onClick={() => actions.resume(run.run, { step: back })}>
            Go back to step {back}
          </button>
        )}
        <button type="button" className="btn q" onClick={() => actions.resume(run.run)}>
          Keep going
        </button>
      </ErrorMessage>
    );
  }
  if (state === 'failed')
    return (
      <ErrorMessage
        error={{
          code: 'run-failed',
          title: `${run.name} failed at step ${run.step}.`,
          message: `${live?.message && !told ? `${sentence(live.message)} ` : ''}${
            run.saved_step > 0
              ? `Step ${run.saved_step} is saved: the run can go on from there.`
              : 'Nothing was saved before, so it begins anew.'
          }`,
        }}
        icon="x"
        testId="run-message"
      >
        <button type="button" className="btn" onClick={() => actions.resume(run.run)}>
          {run.saved_step > 0 ? `Go on from step ${run.saved_step}` : 'Begin anew'}
        </button>
      </ErrorMessage>
    );
  if (state === 'paused' && !training.hasData(run.run, run.data)) return <FolderAgain run={run} />;
  if (live?.message)
    return (
      <ErrorMessage
        error={{ code: 'run-paused', title: `${run.name} is paused.`, message: sentence(live.message) }}
        icon="info"
        tone="warn"
        testId="run-message"
      />
    );
  return null;
}

function StorageFull({ message }: { message: string }) {
  return (
    <ErrorMessage
      error={{ code: 'storage-full', title: 'Storage is full.', message: sentence(message) }}
      icon="save"
      testId="run-message"
    >
      <ManageStorage />
    </ErrorMessage>
  );
}

function sentence(text: string): string {
  return /[.!?”"]$/.test(text.trim()) ? text.trim() : `${text.trim()}.`;
}
