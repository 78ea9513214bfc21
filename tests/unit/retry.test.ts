import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DEFAULT_RETRY, PATIENT_RETRY, requestOnce, withRetry } from '../../src/weights/retry';
import { ModelSeat, type SeatPlace } from '../../src/worker/model-seat';
import type { EngineEvent } from '../../src/worker/protocol';

const limited = (headers?: HeadersInit) => new Response('', { status: 429, ...(headers ? { headers } : {}) });

/** A server whose answers are made one after another; the last one's again and again. @returns when each was asked for, in seconds. */
function serve(...answers: (() => Response)[]): number[] {
  const asked: number[] = [];
  vi.stubGlobal('fetch', async () => {
    const answer = answers[Math.min(asked.length, answers.length - 1)]!;
    asked.push(Date.now() / 1000);
    return answer();
  });
  return asked;
}

const waits: boolean[] = [];
const ask = (retry = PATIENT_RETRY, signal?: AbortSignal) =>
  withRetry({ retry, onWait: (waiting) => waits.push(waiting), ...(signal ? { signal } : {}) }, async () =>
    (await requestOnce('u', 'm', {})).text(),
  ).then(
    (text) => `got ${text}`,
    (cause: Error) => cause.message,
  );
const done = () => new Response('it');

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  waits.length = 0;
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('a server that limits requests', () => {
  it('is waited for through a window of five minutes, with pauses that grow to a minute', async () => {
    const asked = serve(() => limited());
    const asking = ask();
    await vi.runAllTimersAsync();
    expect(await asking).toBe('m could not be read: it gets too many requests (429). Try again in a while.');
    expect(asked).toEqual([0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 63.5, 123.5, 183.5, 243.5, 303.5]);
    expect(waits).toEqual(asked.slice(1).flatMap(() => [true, false]));
  });

  it.each([
    [{ 'retry-after': '290' }, 290],
    [{ 'retry-after': new Date(100_000).toUTCString() }, 100],
    [{ 'retry-after': '9000' }, 300],
    [{ 'retry-after': '7', ratelimit: '"resolvers";r=0;t=123' }, 7],
    [{ ratelimit: '"resolvers";r=0;t=123' }, 123],
    [{ ratelimit: '"pages";r=12;t=200, "resolvers";r=0;t=50, "api";t=20;r=0' }, 50],
    [{ ratelimit: 'limit=100, remaining=0, reset=40' }, 40],
    [{ ratelimit: 'nothing of use' }, 0.5],
  ])('is asked again when it says: %j', async (headers, seconds) => {
    const asked = serve(() => limited(headers as HeadersInit), done);
    const asking = ask();
    await vi.runAllTimersAsync();
    expect(await asking).toBe('got it');
    expect(asked).toEqual([0, seconds]);
  });

  it('is left alone at once when the load is stopped', async () => {
    const asked = serve(() => limited({ 'retry-after': '200' }));
    const stop = new AbortController();
    const asking = ask(PATIENT_RETRY, stop.signal);
    await vi.advanceTimersByTimeAsync(1000);
    stop.abort(new Error('enough'));
    expect(await asking).toBe('enough');
    expect([asked, waits, vi.getTimerCount()]).toEqual([[0], [true], 0]);
  });

  it('does not use up the attempts of other failures, which stay few and unannounced', async () => {
    const failing = () => new Response('', { status: 503 });
    let asked = serve(...Array.from({ length: 8 }, () => () => limited()), failing);
    let asking = ask();
    await vi.runAllTimersAsync();
    expect(await asking).toMatch(/the server answered 503/);
    expect(asked).toHaveLength(8 + DEFAULT_RETRY.attempts);
    expect(waits).toHaveLength(16);
    // Nor is a limit waited for where nobody is told of it.
    asked = serve(() => limited());
    asking = ask(DEFAULT_RETRY);
    await vi.runAllTimersAsync();
    expect(await asking).toMatch(/429/);
    expect(asked).toHaveLength(DEFAULT_RETRY.attempts);
  });

  it('is named to the page while any request of a load waits for it', async () => {
    const posted: EngineEvent[] = [];
    const ended = new Promise<void>((resolve) => {
      const place: Partial<SeatPlace> = {
        post: (event) => posted.push(event),
        interrupt: () => {},
        pause: () => {},
        enqueue: (_, job) => void job().catch(() => resolve()),
        models: {
          prepare: async (_: unknown, { onWait }: { onWait: (waiting: boolean) => void }) => {
            for (const waiting of [true, true, false, false]) onWait(waiting);
            throw new Error('over');
          },
        } as unknown as SeatPlace['models'],
      };
      const source = { kind: 'url', url: 'u' } as const;
      new ModelSeat(place as SeatPlace).load({ type: 'load-model', id: 3, source, name: 'm' });
    });
    await ended;
    const waiting = 'Waiting for the hub, which limits requests';
    const labels = posted.map((event) => event.type === 'progress' && event.id === 3 && event.label);
    expect(labels).toEqual(['Loading the model', waiting, waiting, waiting, 'Loading the model']);
  });
});
