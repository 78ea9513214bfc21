import type { EngineError } from '../../worker/protocol';
import type { MemoryPlan, RunConfig } from '../../worker/training-protocol';
import { formatBytes } from '../shared/format';
import { ErrorMessage } from '../shared/message';
import type { Planned } from './memory-plan';
import { changeConfig } from './setup-store';
import { useTraining, useTrainServices } from './train-services';
import type { RunRecord } from './training-state';
import { useRunActions } from './use-run-actions';

/** Settings that would fit, each alone enough, by the names of a plan or of an answer. */
type Fits = MemoryPlan['suggestions'] & EngineError['suggestions'];

/** A button for each of the settings that would fit: it takes them over, or sets up `another` run with them. */
export function Ways({
  config,
  fits,
  another,
}: {
  config: RunConfig;
  fits: Fits | undefined;
  another: boolean;
}) {
  const { setup, training } = useTrainServices();
  const { newRun } = useRunActions();
  const { num_generations, max_completion_length = fits?.max_new_tokens, r } = fits ?? {};
  const ways: [string, Partial<RunConfig>][] = [];
  if (num_generations)
    ways.push([`${num_generations} answers`, { grpo: { ...config.grpo, num_generations } }]);
  if (max_completion_length)
    ways.push([`${max_completion_length} tokens`, { grpo: { ...config.grpo, max_completion_length } }]);
  if (r) ways.push([`rank ${r}`, { lora: { ...config.lora, r } }]);
  return ways.map(([what, part]) => (
    <button
      key={what}
      type="button"
      className="btn"
      onClick={() => {
        if (another) newRun({ ...config, ...part });
        else setup.setState((state) => changeConfig(state, part), true);
        training.setError(undefined);
      }}
    >
      {another ? `New run with ${what}` : `Use ${what}`}
    </button>
  ));
}

/** What would fit, as a sentence. */
function whatFits({ num_generations }: RunConfig['grpo'], fits: Fits = {}): string {
  const ways = [
    ...(fits.num_generations ? [`${fits.num_generations} answers fit`] : []),
    ...(fits.max_completion_length
      ? [`${num_generations} answers of ${fits.max_completion_length} tokens`]
      : []),
    ...(fits.r ? [`a rank of ${fits.r}`] : []),
  ];
  return ways.length > 0 ? `${ways.join(', or ')}.` : 'A smaller model would fit.';
}

/** Before the start: the settings do not fit, and which would. */
export function TooLarge({ config, planned: { plan, of } }: { config: RunConfig; planned: Planned }) {
  if (!plan || of !== config || !isTooLarge(plan)) return null;
  const { num_generations, max_completion_length } = config.grpo;
  const allowed = plan.budget?.bytes ?? plan.maxBufferSize;
  const coldStart = config.stage === 'cold-start';
  return (
    <ErrorMessage
      error={{
        code: 'out-of-memory',
        title: `Not enough GPU memory for ${coldStart ? 'these traces' : `${num_generations} answers`}.`,
        message: `${coldStart ? 'Traces' : `${num_generations} answers`} of ${max_completion_length.toLocaleString('en')} tokens need ${formatBytes(plan.bytes)} and this adapter allows ${formatBytes(allowed)}. ${whatFits(config.grpo, plan.suggestions)}`,
      }}
      icon="chip"
      tone="warn"
      testId="too-large"
    >
      <Ways config={config} fits={plan.suggestions} another={false} />
    </ErrorMessage>
  );
}

/** A run had no room for a step and stands still: another one with less can begin, or it tries again. */
export function OutOfMemory({
  record: { run, config },
  text,
  suggestions,
  planned: { plan, of },
}: {
  record: RunRecord;
  /** What there was no room for, a sentence. */
  text: string;
  suggestions: Fits | undefined;
  planned: Planned;
}) {
  const { resume } = useRunActions();
  const busy = useTraining((state) => state.beginning === true);
  // After a reload the plan of its settings says what would fit.
  const fits = suggestions ?? (of === config ? plan?.suggestions : undefined);
  const kept = run.saved_step > 0 ? `Step ${run.saved_step} is saved.` : 'Nothing was saved yet.';
  return (
    <ErrorMessage
      error={{
        code: 'out-of-memory',
        title: `Not enough GPU memory for ${config.stage === 'cold-start' ? 'these traces' : `${config.grpo.num_generations} answers`}.`,
        message: `${text} The run is paused. ${kept} ${fits ? whatFits(config.grpo, fits) : 'Close other tabs and programs that use the GPU, or set up a run with fewer or shorter answers.'}`,
      }}
      icon="chip"
      tone="warn"
      testId="run-message"
    >
      <Ways config={config} fits={fits} another />
      <button type="button" className="btn q" disabled={busy} onClick={() => resume(run.run)}>
        Try again
      </button>
    </ErrorMessage>
  );
}

/** Whether a run of such a plan would not fit. */
function isTooLarge({ bytes, budget, largestBuffer, maxBufferSize, suggestions }: MemoryPlan): boolean {
  const suggested = suggestions !== undefined && Object.keys(suggestions).length > 0;
  return suggested || (budget !== undefined && bytes > budget.bytes) || largestBuffer > maxBufferSize;
}
