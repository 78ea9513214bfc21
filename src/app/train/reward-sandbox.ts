/** What a user's reward function gets: `reward(completion, { problem, solution, tokens })`. */
export interface ScoreInput {
  completion: string;
  problem: string;
  solution: string;
  tokens: number;
}

/** A reward function did not score all answers. `message` is a sentence. */
export class RewardFailure extends Error {
  constructor(
    /** The function's name. */
    readonly reward: string,
    /** What it did: "threw “…”". */
    readonly reason: string,
    /** Places of the answers that it failed on. */
    readonly failed: readonly number[],
    total: number,
  ) {
    super(`${reward} ${reason} on ${failed.length} of ${total} ${total === 1 ? 'answer' : 'answers'}`);
  }
}

/** What the frame's worker posts. `results` by answer. */
type Scored =
  | { name: string; results: ({ score: number } | { wrong: string } | { thrown: string })[] }
  | { code: 'syntax' | 'no-function' | 'too-slow' | 'failed'; message?: string };

/** Milliseconds that a user's function has for a group of answers. */
export const SCORE_LIMIT_MS = 1000;

/** Milliseconds that the frame has to start, and, beyond the function's own limit, to answer. */
const FRAME_LIMIT_MS = 10_000;

/**
 * Runs reward functions that users write, in a worker inside of a frame that is sandboxed to scripts alone: it has an
 * origin of its own, and the policy of `public/reward-frame.html` forbids it everything but that worker. The frame is
 * made when the first function runs, and again after one that broke it.
 */
export class RewardSandbox {
  private frame: Promise<HTMLIFrameElement> | undefined;

  /** @param url address of reward-frame.html. */
  constructor(private readonly url: string) {}

  /**
   * Scores answers with a function, given as its source: one function expression or declaration. It may be async.
   * @throws RewardFailure (rejects): what the function did wrong, and on which of the answers; Error where the sandbox
   * itself does not run.
   */
  async score(code: string, answers: readonly ScoreInput[], limit = SCORE_LIMIT_MS): Promise<number[]> {
    const frame = await (this.frame ??= this.open());
    const { port1, port2 } = new MessageChannel();
    const scored = await new Promise<unknown>((resolve) => {
      const timer = setTimeout(() => {
        // The frame itself hangs: the next call gets a new one.
        this.close();
        resolve({ code: 'too-slow' } satisfies Scored);
      }, limit + FRAME_LIMIT_MS);
      port1.onmessage = ({ data }: MessageEvent<unknown>) => {
        clearTimeout(timer);
        resolve(data);
      };
      const source = code.trim().replace(/[;\s]+$/, '');
      frame.contentWindow?.postMessage({ code: source, answers, limit }, '*', [port2]);
    }).finally(() => port1.close());
    return scoresOf(scored, answers.length, limit);
  }

  /** Takes the frame away, with whatever runs in it. */
  close(): void {
    const { frame } = this;
    this.frame = undefined;
    void frame?.then((element) => element.remove()).catch(() => {});
  }

  private open(): Promise<HTMLIFrameElement> {
    const frame = document.createElement('iframe');
    frame.setAttribute('sandbox', 'allow-scripts');
    frame.src = this.url;
    frame.className = 'hidden';
    frame.title = 'Sandbox of the reward function';
    frame.tabIndex = -1;
    frame.ariaHidden = 'true';
    const opened = new Promise<HTMLIFrameElement>((resolve, reject) => {
      const onMessage = ({ source, data }: MessageEvent) => {
        if (source !== frame.contentWindow || data !== 'reward-frame-ready') return;
        end();
        resolve(frame);
      };
      const timer = setTimeout(() => {
        end();
        frame.remove();
        this.frame = undefined;
        reject(
          new Error(
            'The sandbox for reward functions did not start. The host must serve reward-frame.html without the page’s own content security policy (see docs/hosting.md).',
          ),
        );
      }, FRAME_LIMIT_MS);
      const end = () => {
        clearTimeout(timer);
        removeEventListener('message', onMessage);
      };
      addEventListener('message', onMessage);
    });
    document.body.append(frame);
    return opened;
  }
}

/** The scores, where every answer got one. @throws RewardFailure where not. */
export function scoresOf(scored: unknown, count: number, limit: number): number[] {
  const all = Array.from({ length: count }, (_, i) => i);
  // The function can post whatever it likes in the worker's name.
  if (!isScored(scored, count))
    throw new RewardFailure(
      'user_reward',
      'changed its own surroundings, so that nothing can be read,',
      all,
      count,
    );
  if ('code' in scored) throw new RewardFailure('user_reward', failureReason(scored, limit), all, count);
  const { results } = scored;
  const name = scored.name || 'user_reward';
  const fail = (key: 'thrown' | 'wrong', reason: (text: string) => string) => {
    const failed = all.filter((i) => key in results[i]!);
    const first = results[failed[0] ?? -1] as Record<string, string> | undefined;
    if (first) throw new RewardFailure(name, reason(first[key]!), failed, count);
  };
  fail('thrown', (text) => `threw “${text}”`);
  fail('wrong', (text) => `returned ${text} where a finite number must be,`);
  return results.flatMap((one) => ('score' in one ? [one.score] : []));
}

function isScored(value: unknown, count: number): value is Scored {
  if (typeof value !== 'object' || value === null) return false;
  if ('code' in value) return typeof value.code === 'string';
  if (!('results' in value) || !Array.isArray(value.results) || value.results.length !== count) return false;
  return value.results.every((one: unknown) => {
    if (typeof one !== 'object' || one === null) return false;
    return 'thrown' in one || 'wrong' in one || ('score' in one && Number.isFinite(one.score));
  });
}

function failureReason({ code, message }: Extract<Scored, { code: string }>, limit: number): string {
  switch (code) {
    case 'syntax':
      return `cannot be read (${message})`;
    case 'no-function':
      return `must be one function, and is ${message},`;
    case 'too-slow':
      return `was ended after ${limit / 1000} s`;
    default:
      return `failed (${message ?? 'no reason is known'})`;
  }
}
