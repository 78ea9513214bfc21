/** What a user's reward function gets: `reward(completion, { problem, solution, tokens })`. */
export interface ScoreInput {
  completion: string;
  problem: string;
  solution: string;
  tokens: number;
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
   * @throws Error (rejects) with a sentence: what the function did wrong, and on how many of the answers.
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

/** The scores, where every answer got one. @throws Error with a sentence where not. */
export function scoresOf(scored: unknown, count: number, limit: number): number[] {
  // The function can post whatever it likes in the worker's name.
  if (!isScored(scored, count))
    throw new Error('The reward function changed its own surroundings: its scores cannot be read.');
  if ('code' in scored) throw new Error(failureText(scored, limit));
  const { results } = scored;
  const name = scored.name || 'The reward function';
  const on = (bad: number) => `on ${bad} of ${count} ${count === 1 ? 'answer' : 'answers'}`;
  const thrown = results.flatMap((one) => ('thrown' in one ? [one.thrown] : []));
  if (thrown.length > 0) throw new Error(`${name} threw “${thrown[0]}” ${on(thrown.length)}`);
  const wrong = results.flatMap((one) => ('wrong' in one ? [one.wrong] : []));
  if (wrong.length > 0)
    throw new Error(`${name} returned ${wrong[0]} where a finite number must be, ${on(wrong.length)}`);
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

function failureText({ code, message }: Extract<Scored, { code: string }>, limit: number): string {
  switch (code) {
    case 'syntax':
      return `The reward function cannot be read: ${message}`;
    case 'no-function':
      return `The code gives ${message}, and must give one function.`;
    case 'too-slow':
      return `The reward function was ended after ${limit / 1000} s. It may have no end`;
    case 'failed':
      return `The reward function failed: ${message ?? 'no reason is known'}`;
    default:
      return `The reward function failed: ${String(code).slice(0, 40)}`;
  }
}
