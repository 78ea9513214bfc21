import type { GenerationError } from '../../generate/errors';
import { GpuMemoryError } from '../../gpu/errors';
import { isOutOfMemory } from '../../grpo/memory-plan';
import type { RewardError } from '../../grpo/rewards/score-group';
import { StorageError } from '../../storage/errors';
import { VideoError } from '../../video/errors';
import type { RunEvent } from '../training-protocol';

/** How a run ended, for now or for good. */
export interface RunEnding {
  state: 'paused' | 'stopped' | 'done' | 'failed';
  /** A sentence for the user. */
  message?: string;
  /** What made it fail. */
  cause?: unknown;
  /** What there was no GPU memory for, where that paused it. */
  noRoom?: GpuMemoryError | GenerationError;
}

/** Thrown to end a run for now. */
export class Pause extends Error {
  constructor(
    readonly state: 'paused' | 'stopped',
    readonly code: RunEvent['code'],
    readonly text: string,
    /** A sentence for the user, where the run pauses by itself. */
    readonly sentence?: string,
  ) {
    super(text);
  }
}

/** A reward failed on a question, which the run can go on without. */
export class QuestionError extends Error {
  /** @param question its number in the run. */
  constructor(
    readonly question: number,
    override readonly cause: RewardError,
  ) {
    super(cause.message);
  }
}

/** What an error means for the run: it is paused where the user can do something about it and go on. */
export function pauseFor(cause: unknown, step: number): Pause | undefined {
  if (cause instanceof Pause) return cause;
  if (cause instanceof QuestionError)
    return new Pause(
      'paused',
      'reward-failed',
      cause.message,
      `The reward function failed. ${cause.message.replace(/.$/, '')} at step ${step}. ` +
        'The run is paused and this step was not used.',
    );
  if (cause instanceof StorageError && cause.code === 'full')
    return new Pause('paused', 'storage-full', 'storage is full', `${cause.message} The run is paused.`);
  if (cause instanceof VideoError) return new Pause('paused', 'paused', cause.message, cause.message);
  if (isOutOfMemory(cause)) {
    // What a generator says of answers counts those of all questions side by side.
    const { message } = cause.cause instanceof GpuMemoryError ? cause.cause : cause;
    return new Pause('paused', 'out-of-memory', message, `${message} The run is paused.`);
  }
  return undefined;
}
