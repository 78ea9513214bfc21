import type { EngineError } from '../../worker/protocol';
import type {
  CompletionRow,
  EvalLine,
  LiveSettings,
  MemoryPlan,
  RunConfig,
  RunEvent,
  RunState,
  RunSummary,
  StepLine,
  TrainingEvent,
} from '../../worker/training-protocol';

/** All that the page knows of a run that was read. */
export interface RunRecord {
  run: RunSummary;
  config: RunConfig;
  /** By step, without repeats: a step that was done again counts as it went the second time. */
  lines: readonly StepLine[];
  evals: readonly EvalLine[];
  /** Oldest first. */
  events: readonly RunEvent[];
  completions: readonly CompletionRow[];
  checkpoints: readonly number[];
  /** Settings that the user changed while it was paused: it goes on with them. */
  changes?: LiveSettings;
}

/** A group of the step that goes on. */
export interface LiveGroup {
  step: number;
  question: number;
  prompt: string;
  solution: string;
  max_new_tokens: number;
  /** `num_generations` places; undefined until the first text has come. */
  answers: readonly (LiveAnswer | undefined)[];
  /** By sample, once they are scored. */
  rows?: readonly CompletionRow[];
}

export type LiveAnswer = Extract<TrainingEvent, { type: 'group-traces' }>['answers'][number];

/** The run that the engine works on, or has just let go. */
export interface LiveRun {
  run: string;
  state: RunState;
  detail?: string;
  /** Why it failed, or paused by itself. */
  message?: string;
  /** Where it paused for want of memory: settings that would fit. */
  suggestions?: MemoryPlan['suggestions'];
  progress?: { label: string; done: number; total: number };
  /** Of the step that goes on, in the order in which they began. */
  groups: readonly LiveGroup[];
  /** The step that an earlier attempt had reached, where the run went on from a step before it. */
  repeats?: { from: number; reached: number };
  /** It was asked to end, and has not yet. */
  ending?: 'pause' | 'stop';
}

/** What the Train page knows of runs. Changed only by `reduceTraining`. */
export interface TrainingState {
  /** Newest first; undefined until the engine has listed them. */
  runs?: readonly RunSummary[];
  /** The run that is shown; undefined: a new one is being set up. */
  shown?: string;
  /** Runs that were read: the one shown and those compared with it. */
  records: Readonly<Record<string, RunRecord>>;
  live?: LiveRun;
  error?: EngineError;
  /** A run is asked to start or to go on, and the engine has not said so yet. */
  beginning?: true;
}

/** The state before anything was asked of the engine. */
export const INITIAL_TRAINING_STATE: TrainingState = { records: {} };

/** Whether a run holds the GPU now. */
export function isActive(live: Pick<LiveRun, 'state'> | undefined): boolean {
  return live?.state === 'compiling' || live?.state === 'running';
}

/** Whether a run in this state can go on. */
export function canResume(state: RunState): boolean {
  return state === 'paused' || state === 'failed';
}
