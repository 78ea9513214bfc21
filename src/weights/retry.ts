import { CheckpointError } from './errors';

/** How often, and after what pauses, a request that failed is made again. */
export interface RetryPolicy {
  /** Requests in all. */
  attempts: number;
  /** Milliseconds before the second one; doubled each time. */
  pause: number;
  /** Longest pause, also where the server asks for a longer one. */
  longest: number;
  /**
   * Milliseconds for which a server is waited for that limits requests (429): until so many have passed in pauses, such
   * answers do not count as attempts. Pauses grow to a minute; one that the server asks for may be as long as all of
   * it. Left out, such an answer is like the others.
   */
  patience?: number;
}

export const DEFAULT_RETRY: RetryPolicy = { attempts: 6, pause: 500, longest: 20_000 };

/** For a load: hubs limit requests by windows of five minutes, and one must outlast a whole window. */
export const PATIENT_RETRY: RetryPolicy = { ...DEFAULT_RETRY, patience: 300_000 };

/** Longest pause after a 429 that says nothing of its length. */
const LONGEST_UNASKED = 60_000;

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
  /** Called as a request begins, and ends, to wait for a server that limits requests; not where it is aborted. */
  onWait?: (waiting: boolean) => void;
}

/** Something that went wrong on the way and may go right when tried again. */
export class PassingError extends CheckpointError {
  constructor(
    message: string,
    /** Milliseconds that the server asks to wait. */
    readonly retryAfter?: number,
    /** The server limits requests. */
    readonly limited = false,
  ) {
    super(message);
  }
}

/**
 * Does something until it succeeds, fails for good, or has been tried often and long enough; only a `PassingError` is
 * tried again.
 * @throws what the last attempt threw, or the signal's reason.
 */
export async function withRetry<T>(
  { signal, retry = DEFAULT_RETRY, onWait }: RequestOptions,
  attempt: () => Promise<T>,
): Promise<T> {
  const { attempts, longest, patience = 0 } = retry;
  let failed = 0;
  let limited = 0;
  let waited = 0;
  for (;;) {
    try {
      return await attempt();
    } catch (cause) {
      signal?.throwIfAborted();
      if (!(cause instanceof PassingError)) throw cause;
      const patient = cause.limited && patience > 0;
      if (patient ? waited >= patience : ++failed >= attempts) throw cause;
      const doubled = retry.pause * 2 ** (patient ? limited++ : failed - 1);
      const asked = cause.retryAfter ?? 0;
      if (patient) {
        const ms = Math.min(Math.max(asked, Math.min(doubled, LONGEST_UNASKED)), patience);
        waited += ms;
        onWait?.(true);
        await pause(ms, signal);
        onWait?.(false);
      } else await pause(Math.min(Math.max(asked, doubled), longest), signal);
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
  const limited = response.status === 429;
  const why = limited ? 'it gets too many requests (429)' : `the server answered ${response.status}`;
  const asked = retryAfter(response.headers.get('retry-after'));
  throw new PassingError(
    `${name} could not be read: ${why}. Try again in a while.`,
    asked ?? (limited ? untilReset(response.headers.get('ratelimit')) : undefined),
    limited,
  );
}

/** Milliseconds of a Retry-After header: seconds, or a date. */
function retryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) && ms > 0 ? ms : undefined;
}

/**
 * Milliseconds until all limits that are used up begin anew, by a RateLimit header: `"name";r=0;t=123`, or, as its
 * earlier drafts have it, `limit=100, remaining=0, reset=123` (draft-ietf-httpapi-ratelimit-headers).
 */
function untilReset(header: string | null): number | undefined {
  const seconds = (header ?? '').split(',').flatMap((limit) => {
    const left = Number(/(?:^|;)\s*r=(\d+)/.exec(limit)?.[1] ?? 0);
    const reset = /(?:^|;)\s*(?:t|reset)=(\d+)/.exec(limit)?.[1];
    return left > 0 || reset === undefined ? [] : [Number(reset)];
  });
  return seconds.length > 0 ? Math.max(...seconds) * 1000 : undefined;
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
