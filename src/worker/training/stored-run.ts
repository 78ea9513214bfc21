import type { RunHeader, RunStore } from '../../storage/run-store';
import type { EvalLine, RunConfig, RunState, RunSummary, StepLine, TrainingData } from '../training-protocol';

/** A run's `run.json`. */
export interface StoredRun extends RunHeader {
  version: 1;
  /** Name of the model that it trains. */
  model: string;
  config: RunConfig;
  data: { kind: TrainingData['kind']; name?: string };
  /** As of the last change; a run whose tab was closed still says `running`. */
  state: RunState;
  saved_step: number;
  /** It was paused for its KL, and goes on all the same until the KL has been below the limit. */
  kl_warned?: boolean;
}

/** A new run's id: sorts by time, and two tabs never choose the same. */
export function newRunId(now: number): string {
  return `${now.toString(36)}-${crypto.randomUUID().slice(0, 8)}`;
}

/** What the list of runs shows. `live` is the state of a run that this engine is working on. */
export async function summarise(
  store: RunStore<StoredRun>,
  header: StoredRun,
  held: ReadonlySet<string>,
  live?: RunState,
): Promise<RunSummary> {
  const { run, name, model, config, data, saved_step, created } = header;
  const [lines, evals, bytes] = await Promise.all([
    store.lastLines<StepLine>(run, 'log'),
    store.lastLines<EvalLine>(run, 'evals'),
    store.bytes(run),
  ]);
  const rewards = lines.slice(-10).flatMap(({ reward }) => reward ?? []);
  const accuracy = evals.at(-1)?.accuracy_sampled;
  // A run that says it is running, and that no tab holds, was left by a closed one.
  const left = (header.state === 'running' || header.state === 'compiling') && !held.has(run);
  return {
    run,
    name,
    stage: config.stage,
    model,
    data: data.kind,
    state: live ?? (left ? 'paused' : header.state),
    step: lines.at(-1)?.step ?? 0,
    saved_step,
    max_steps: config.grpo.max_steps,
    ...(rewards.length > 0 ? { reward: rewards.reduce((a, b) => a + b, 0) / rewards.length } : {}),
    ...(accuracy !== undefined ? { eval_accuracy: accuracy } : {}),
    created,
    bytes,
  };
}
