import { CheckpointError } from './errors';

/** How often, and after what pauses, a request that failed is made again. */
export interface RetryPolicy {
  /** Requests in all. */
  attempts: number;
  /** Milliseconds before the second one; doubled each time. */
  pause: number;
  /** Longest pause, also where the server asks for a longer one. */
  longest: number;
}

export const DEFAULT_RETRY: RetryPolicy = { attempts: 6, pause: 500, longest: 20_000 };

/** Answers after which the same request may succeed. */
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Options of the requests for a file. */
export interface RequestOptions {
  signal?: AbortSignal;
  retry?: RetryPolicy;
  /** Bytes that small files may take in memory together; counted down as they are opened. */
  whole?: { left: number };
  /** Called with the first answer about each file. */
  onAnswer?: (response: Response) => void;
}

/** Something that went wrong on the way and may go right when tried again. */
export class PassingError extends CheckpointError {
  constructor(
    message: string,
    /** Milliseconds that the server asks to wait. */
    readonly retryAfter?: number,
  ) {
    super(message);
  }
}

/**
 * Does something until it succeeds, fails for good, or has been tried often enough; only a `PassingError` is tried
 * again.
 * @throws what the last attempt threw, or the signal's reason.
 */
export async function withRetry<T>(
  { signal, retry = DEFAULT_RETRY }: RequestOptions,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await attempt();
    } catch (cause) {
      signal?.throwIfAborted();
      if (!(cause instanceof PassingError) || tried >= retry.attempts) throw cause;
      const wanted = Math.max(cause.retryAfter ?? 0, retry.pause * 2 ** (tried - 1));
      await pause(Math.min(wanted, retry.longest), signal);
    }
  }
}

/**
 * One request. A connection that fails and an answer that asks for patience are a `PassingError`; all other answers
 * are returned.
 */
export async function requestOnce(url: string, name: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    throw new PassingError(
      `${name} could not be fetched: ${cause instanceof Error ? cause.message : String(cause)}. Check the connection and try again.`,
    );
  }
  if (!PASSING.has(response.status)) return response;
  await response.body?.cancel();
  const why =
    response.status === 429 ? 'it gets too many requests (429)' : `the server answered ${response.status}`;
  throw new PassingError(
    `${name} could not be read: ${why}. Try again in a while.`,
    retryAfter(response.headers.get('retry-after')),
  );
}

/** Milliseconds of a Retry-After header: seconds, or a date. */
function retryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) && ms > 0 ? ms : undefined;
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}
