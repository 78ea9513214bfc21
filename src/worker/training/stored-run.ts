import { StorageError } from '../../storage/errors';
import { webLocks } from '../../storage/locks';
import { opfsFolder } from '../../storage/opfs-folder';
import { tabRunChanges } from '../../storage/run-changes';
import { type OpenRun, type RunHeader, RunStore } from '../../storage/run-store';
import type {
  CompletionRow,
  EvalLine,
  LiveSettings,
  RunConfig,
  RunEvent,
  RunState,
  RunSummary,
  StepLine,
  TrainingData,
  TrainingEvent,
  TrainingRequest,
} from '../training-protocol';

/** A run's `run.json`. */
export interface StoredRun extends RunHeader {
  version: 1;
  /** Name of the model that it trains. */
  model: string;
  config: RunConfig;
  /** `name` of the file, `folder` of the videos. */
  data: { kind: TrainingData['kind']; name?: string; folder?: string };
  /** As of the last change; a run whose tab was closed still says `running`. */
  state: RunState;
  saved_step: number;
  /** It was paused for its KL, and goes on all the same until the KL has been below the limit. */
  kl_warned?: boolean;
  /** The question, by its number in the run, that a reward failed on last. */
  failed_question?: number | undefined;
  /** How often the user had a question left out, by its number in the run. */
  skips?: Readonly<Record<number, number>>;
}

/** The runs on this device. `onChange` is called where another tab writes to one. */
export async function openRuns(onChange: () => void): Promise<RunStore<StoredRun>> {
  return new RunStore<StoredRun>(await opfsFolder(), webLocks, tabRunChanges(onChange));
}

/** What a run keeps of its data beside the questions. */
export function storedData(data: TrainingData): StoredRun['data'] {
  const { kind } = data;
  if (kind !== 'files') return { kind };
  return { kind, name: data.name, ...(data.folder ? { folder: data.folder } : {}) };
}

/** A new run's id: sorts by time, and two tabs never choose the same. */
export function newRunId(now: number): string {
  return `${now.toString(36)}-${crypto.randomUUID().slice(0, 8)}`;
}

/**
 * Leaves out the question that a reward failed on: another takes its place from now on.
 * @returns its number in the run; undefined where none failed.
 */
export async function leaveOut(open: OpenRun<StoredRun>): Promise<number | undefined> {
  const { failed_question, skips = {} } = open.header;
  if (failed_question === undefined) return undefined;
  await open.update({
    failed_question: undefined,
    skips: { ...skips, [failed_question]: (skips[failed_question] ?? 0) + 1 },
  });
  return failed_question;
}

/**
 * Gives the run's own reward another function, from the next step on.
 * @throws Error where there is no code, or the run has no reward of the user's own.
 */
export async function replaceReward(open: OpenRun<StoredRun>, code: string): Promise<void> {
  const { config, name } = open.header;
  const own = config.rewards.find((reward) => reward.name === 'user_reward');
  if (!own) throw new Error(`${name} has no reward of your own that could be edited.`);
  if (!code.trim()) throw new Error('Your own reward has no code yet.');
  const rewards = config.rewards.map((reward) => (reward === own ? { ...own, code } : reward));
  await open.update({ config: { ...config, rewards }, failed_question: undefined });
}

/**
 * Changes settings of a run from its next step on. Who reads them from the run's `config.grpo` sees them at once.
 * @returns what is to be told of it, as `beta 0.08, max_steps 40`; undefined where all are as they were.
 */
export async function changeSettings(
  open: OpenRun<StoredRun>,
  settings: LiveSettings,
): Promise<string | undefined> {
  const { config } = open.header;
  const changed = Object.entries(settings).filter(
    ([name, value]) => config.grpo[name as keyof LiveSettings] !== value,
  );
  if (changed.length === 0) return undefined;
  Object.assign(config.grpo, Object.fromEntries(changed));
  await open.update({ config });
  return changed.map(([name, value]) => `${name} ${value}`).join(', ');
}

/** Edits a run that is to go on as the user asked. @returns what is to be told of it. @throws as `replaceReward`. */
export async function editRun(
  open: OpenRun<StoredRun>,
  { settings = {}, reward_code, skip_question }: Extract<TrainingRequest, { type: 'resume-run' }>,
): Promise<[code: RunEvent['code'], text: string][]> {
  const told: [RunEvent['code'], string][] = [];
  const changed = await changeSettings(open, settings);
  if (changed) told.push(['changed', changed]);
  if (reward_code !== undefined) {
    await replaceReward(open, reward_code);
    told.push(['changed', 'the reward was edited']);
  }
  const question = skip_question ? await leaveOut(open) : undefined;
  if (question !== undefined) told.push(['question-skipped', `question ${question + 1} is left out`]);
  return told;
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
    ...(data.folder ? { folder: data.folder } : {}),
    state: live ?? (left ? 'paused' : header.state),
    step: lines.at(-1)?.step ?? 0,
    saved_step,
    max_steps: config.grpo.max_steps,
    ...(rewards.length > 0 ? { reward: rewards.reduce((a, b) => a + b, 0) / rewards.length } : {}),
    ...(accuracy !== undefined ? { eval_accuracy: accuracy } : {}),
    created,
    bytes,
    config,
  };
}

/** All that is known of a run. @throws StorageError `missing`. */
export async function readRun(
  store: RunStore<StoredRun>,
  run: string,
  summary: (header: StoredRun, held: ReadonlySet<string>) => Promise<RunSummary>,
): Promise<Omit<Extract<TrainingEvent, { type: 'run-data' }>, 'type' | 'id'>> {
  const header = await store.header(run);
  if (!header) throw new StorageError('missing', 'There is no such run on this device.');
  const [held, lines, evals, events, completions, checkpoints] = await Promise.all([
    store.held(),
    store.lines<StepLine>(run, 'log'),
    store.lines<EvalLine>(run, 'evals'),
    store.lines<RunEvent>(run, 'events'),
    store.lines<CompletionRow>(run, 'completions'),
    store.checkpoints(run),
  ]);
  const { config } = header;
  return { run: await summary(header, held), config, lines, evals, events, completions, checkpoints };
}
