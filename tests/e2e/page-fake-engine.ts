import { expect, type Page } from '@playwright/test';
import type { ModelEvent, ModelRequest } from '../../src/worker/model-protocol';
import type {
  AnswerStats,
  EngineEvent,
  EngineRequest,
  ModelInfo,
  TokenInfo,
  Trace,
} from '../../src/worker/protocol';
import type { TrainingRequest } from '../../src/worker/training-protocol';

/** What the page may ask of the engine. */
type Asked = (EngineRequest | ModelRequest | TrainingRequest) & { id: number };

/**
 * Puts a worker that does nothing in the engine's place, before the page loads. The test then plays the engine with
 * `emit` and reads what the page asked with `requests`. For states of the page alone: no answer here is a model's.
 */
export async function installFakeEngine(page: Page): Promise<void> {
  await page.addInitScript(() => {
    // Frames inside of the page keep their own workers.
    if (window !== window.top) return;
    const requests: unknown[] = [];
    class FakeWorker {
      onmessage: ((event: { data: unknown }) => void) | null = null;
      onerror: ((event: ErrorEvent) => void) | null = null;
      constructor() {
        Object.assign(window, { fakeEngine: this });
      }
      postMessage(request: unknown) {
        requests.push(request);
      }
      terminate() {}
    }
    Object.assign(window, { Worker: FakeWorker, fakeRequests: requests });
    // The page asks only whether it is there: the engine is what uses it.
    if (!navigator.gpu) Object.defineProperty(Navigator.prototype, 'gpu', { get: () => ({}) });
  });
}

interface FakeWindow {
  fakeEngine?: {
    onmessage: ((event: { data: unknown }) => void) | null;
    onerror: ((event: ErrorEvent) => void) | null;
  };
  fakeRequests: (EngineRequest & { id: number })[];
}

/** Sends events to the page, as the engine would. */
export async function emit(page: Page, ...events: (EngineEvent | ModelEvent)[]): Promise<void> {
  await page.evaluate((list) => {
    const engine = (window as unknown as FakeWindow).fakeEngine;
    for (const data of list) engine?.onmessage?.({ data });
  }, events);
}

/** Ends the engine's thread with an error. */
export async function crash(page: Page, message: string): Promise<void> {
  await page.evaluate((text) => {
    const engine = (window as unknown as FakeWindow).fakeEngine;
    engine?.onerror?.(new ErrorEvent('error', { message: text }));
  }, message);
}

/** What the page asked of the engine so far. Files are left out. */
export async function requests(page: Page): Promise<(EngineRequest & { id: number })[]> {
  return page.evaluate(() =>
    (window as unknown as FakeWindow).fakeRequests.map((request) =>
      JSON.parse(JSON.stringify(request, (key, value) => (key === 'file' ? undefined : value))),
    ),
  );
}

/** The page's last request of a type. Waits for one: a handler of the page may read a file or a store first. */
export async function lastRequest<T extends Asked['type']>(
  page: Page,
  type: T,
): Promise<Extract<Asked, { type: T }>> {
  const find = async () => ((await requests(page)) as Asked[]).findLast((request) => request.type === type);
  await expect.poll(find, `a ${type} request`).toBeDefined();
  return (await find()) as Extract<Asked, { type: T }>;
}

/** Id of the page's last request of a type. Waits for one. */
export async function lastId(page: Page, type: Asked['type']): Promise<number> {
  return (await lastRequest(page, type)).id;
}

/** Answers the page's `load-model` request. */
export async function loadFakeModel(page: Page, precision?: ModelInfo['precision']): Promise<void> {
  await emit(
    page,
    {
      type: 'gpu',
      adapter: {
        vendor: 'test',
        architecture: 'fake',
        description: '',
        isFallback: false,
        features: [],
        limits: {
          maxBufferSize: 2 ** 30,
          maxStorageBufferBindingSize: 2 ** 27,
          maxComputeWorkgroupStorageSize: 16384,
          maxComputeInvocationsPerWorkgroup: 256,
          maxStorageBuffersPerShaderStage: 8,
        },
        subgroupMinSize: 32,
        subgroupMaxSize: 32,
      },
      f16: true,
      subgroups: true,
    },
    { type: 'memory', bytes: 190_000_000, peakBytes: 210_000_000 },
    {
      type: 'model-ready',
      id: await lastId(page, 'load-model'),
      model: {
        name: 'Toy model',
        parameters: 1_630_000,
        weightBytes: 3_250_000,
        frames: 8,
        visualTokens: 64,
        imageSize: 64,
        vocabSize: 547,
        backend: 'ort',
        ...(precision ? { precision } : {}),
      },
    },
  );
}

/** Times of the frames that `readFakeVideo` samples, in seconds. */
export const FAKE_TIMES = Array.from({ length: 8 }, (_, i) => (i * 2) / 8);

/** Answers the page's last `open-video` request: tables, frames drawn in the page, and ready. */
export async function readFakeVideo(page: Page, frames = 8, ready = true): Promise<void> {
  const id = await lastId(page, 'open-video');
  await emit(page, {
    type: 'video-info',
    id,
    video: {
      name: 'clip.mp4',
      codec: 'avc1.64001f',
      width: 256,
      height: 256,
      durationSeconds: 2,
      frameCount: 8,
      sampledTimes: FAKE_TIMES,
    },
  });
  await page.evaluate(
    ({ id, times, frames }) => {
      const engine = (window as unknown as FakeWindow).fakeEngine;
      for (let index = 0; index < frames; index++) {
        const canvas = new OffscreenCanvas(96, 96);
        const context = canvas.getContext('2d')!;
        context.fillStyle = '#EDEDE6';
        context.fillRect(0, 0, 96, 96);
        context.fillStyle = '#D8432B';
        context.beginPath();
        context.arc(18, 18 + index * 8, 9, 0, 7);
        context.fill();
        const thumbnail = canvas.transferToImageBitmap();
        engine?.onmessage?.({ data: { type: 'frame', id, index, time: times[index], thumbnail } });
      }
    },
    { id, times: FAKE_TIMES, frames },
  );
  if (ready) await emit(page, { type: 'video-ready', id, readMs: 12, encodeMs: 38 });
  else
    await emit(page, {
      type: 'progress',
      scope: 'video',
      id,
      label: `Reading frame ${frames} of 8`,
      done: frames,
      total: 8,
    });
}

/** A token for tests: its text and entropy as given, the rest made up to fit. */
export function fakeToken(text: string, entropy: number, id: number): TokenInfo {
  const prob = Math.exp(-entropy);
  const rest = 1 - prob;
  const other = (offset: number, share: number, kept: boolean) => ({
    id: id + 1000 + offset,
    text: [' So', ' The', ' It', ' left'][offset]!,
    prob: rest * share,
    kept,
  });
  const alternatives = [
    { id, text, prob, kept: true },
    other(0, 0.5, true),
    other(1, 0.3, true),
    other(2, 0.1, false),
    other(3, 0.05, false),
  ].sort((a, b) => b.prob - a.prob);
  return {
    id,
    text,
    prob,
    logp: Math.log(prob),
    rank: alternatives.findIndex((alternative) => alternative.id === id) + 1,
    entropy,
    alternatives,
  };
}

const SENTENCES: {
  words: string[];
  entropy: number[];
  aha?: NonNullable<Trace['sentences'][number]['aha']>;
}[] = [
  { words: ['I', ' think', ' it', ' is', ' left', '.'], entropy: [0.21, 0.34, 0.08, 0.12, 1.31, 0.1] },
  {
    words: [' Wait', ',', ' let', ' me', ' look', ' again', '.'],
    entropy: [1.22, 0.05, 0.16, 0.02, 0.11, 0.07, 0.03],
    aha: { kind: 'checks', rule: 'starts with “wait”', label: 'checks itself' },
  },
  {
    words: ' The| red| circle| is| at| the| top| first| and| at| the| bottom| last|.'.split('|'),
    entropy: [0.42, 0.09, 0.01, 0.18, 0.22, 0.04, 0.61, 0.24, 0.12, 0.15, 0.02, 0.47, 0.05, 0.02],
  },
  {
    words: [' So', ' it', ' moves', ' down', '.'],
    entropy: [0.19, 0.11, 0.07, 0.26, 0.04],
    aha: { kind: 'corrects', rule: 'another conclusion than before', label: 'left to down' },
  },
];

/** Tokens and trace of a made-up answer, as they stand after `count` tokens. */
export function fakeAnswer(count = Number.POSITIVE_INFINITY): { tokens: TokenInfo[]; trace: Trace } {
  const words: { text: string; entropy: number }[] = [{ text: '<think>', entropy: 0.01 }];
  const bounds: { start: number; end: number; aha?: (typeof SENTENCES)[number]['aha'] }[] = [];
  for (const { words: list, entropy, aha } of SENTENCES) {
    const start = words.length;
    words.push(...list.map((text, i) => ({ text, entropy: entropy[i]! })));
    bounds.push({ start, end: words.length, ...(aha ? { aha } : {}) });
  }
  for (const [text, entropy] of [
    ['</think>', 0.02],
    ['<answer>', 0.01],
    ['B', 0.08],
    ['</answer>', 0.01],
  ] as const) {
    words.push({ text, entropy });
  }
  const tokens = words.slice(0, count).map(({ text, entropy }, id) => fakeToken(text, entropy, id));
  const text = (start: number, end: number) =>
    tokens.slice(start, end).reduce((all, token) => all + token.text, '');
  const whole = text(0, tokens.length);
  const done = whole.includes('</answer>');
  return {
    tokens,
    trace: {
      phase: done
        ? 'done'
        : whole.includes('<answer>')
          ? 'answer'
          : whole.includes('</think>')
            ? 'between'
            : 'think',
      text: whole,
      sentences: bounds
        .filter(({ start }) => start < tokens.length)
        .map(({ start, end, aha }) => {
          const stop = Math.min(end, tokens.length);
          const complete = stop === end;
          return { text: text(start, stop).trim(), start, end: stop, ...(aha && complete ? { aha } : {}) };
        }),
      ...(whole.includes('<answer>B') ? { answer: 'B' } : {}),
      problems: [],
    },
  };
}

/** Stats that fit `count` tokens. */
export function fakeStats(count: number): AnswerStats {
  return {
    promptTokens: 164,
    visualTokens: 64,
    newTokens: count,
    timeToFirstTokenMs: 84,
    prefillMs: 34,
    decodeMs: count * 4.7,
    tokensPerSecond: 212,
  };
}
