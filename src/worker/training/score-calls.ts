import { RewardError } from '../../grpo/rewards/score-group';
import type { TrainingEvent, TrainingRequest } from '../training-protocol';

/** The page ends a function after a second by itself; this is for a page that does not reply at all. */
const PATIENCE_MS = 30_000;

type Answers = Extract<TrainingEvent, { type: 'score-answers' }>['answers'];

/** Calls of the user's reward function, which the page runs in its sandbox. */
export class ScoreCalls {
  private next = 1;
  private readonly waiting = new Map<number, (reply: Extract<TrainingRequest, { type: 'scores' }>) => void>();

  constructor(
    private readonly post: (event: TrainingEvent) => void,
    private readonly patience_ms = PATIENCE_MS,
  ) {}

  /** Scores answers. @throws RewardError with what the function did; Error with what the sandbox said; the signal's reason when aborted. */
  async score(code: string, answers: Answers, signal: AbortSignal): Promise<number[]> {
    signal.throwIfAborted();
    const call = this.next++;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let onAbort = () => {};
    try {
      return await new Promise<number[]>((resolve, reject) => {
        onAbort = () => reject(signal.reason);
        signal.addEventListener('abort', onAbort);
        timer = setTimeout(
          () => reject(new Error(`the page gave no scores within ${this.patience_ms / 1000} s`)),
          this.patience_ms,
        );
        this.waiting.set(call, ({ scores, error, reward, failed }) => {
          if (scores) resolve(scores);
          else if (reward && failed)
            reject(new RewardError(reward, failed, answers.length, error ?? 'failed'));
          else reject(new Error(error ?? 'the page gave no scores'));
        });
        this.post({ type: 'score-answers', call, code, answers });
      });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      this.waiting.delete(call);
    }
  }

  /** Takes the page's reply; one to a call that has ended is dropped. */
  reply(request: Extract<TrainingRequest, { type: 'scores' }>): void {
    this.waiting.get(request.call)?.(request);
  }
}
