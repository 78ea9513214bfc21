import * as ort from 'onnxruntime-web/webgpu';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Engine } from '../../src/worker/engine';
import type { EngineEvent, EngineRequest } from '../../src/worker/protocol';

type Of<T extends EngineEvent['type']> = Extract<EngineEvent, { type: T }>;

const TOY = '/models/toy/';
const FILES = ['config.json', 'model.safetensors', 'vocab.json', 'merges.txt', 'tokenizer_config.json'];

/** Devices that the engine opened, in order. */
const devices: GPUDevice[] = [];
/** Sessions of ONNX Runtime that are not released. */
const sessions = new Set<object>();
let events: EngineEvent[] = [];
let arrived = () => {};
const engine = new Engine((event) => {
  if (event.type === 'frame') event.thumbnail.close();
  events.push(event as EngineEvent);
  arrived();
});

/** The first event of a type since `events` was emptied, once it is there; any error fails. */
async function next<T extends EngineEvent['type']>(type: T): Promise<Of<T>> {
  for (;;) {
    const found = events.find((event) => event.type === type);
    if (found) return found as Of<T>;
    const error = events.find((event) => event.type === 'error');
    if (error) throw new Error(`In place of ${type}: ${JSON.stringify(error)}`);
    await new Promise<void>((resolve) => {
      arrived = resolve;
    });
  }
}

function send(request: EngineRequest): void {
  events = [];
  engine.handle(request);
}

let id = 0;
const settings = { temperature: 0, top_k: 0, top_p: 1, max_new_tokens: 12, seed: 1 };
const question = { text: 'Which object moves?', options: [], reasoning: true };
const ask = () => send({ type: 'ask', id: ++id, question, settings, num_generations: 1 });
async function answer(): Promise<string> {
  ask();
  return (await next('answered')).trace.text;
}

/** The toy model's files, one of them replaced. */
async function toyFiles(
  change: Record<string, string | Uint8Array<ArrayBuffer> | undefined>,
): Promise<File[]> {
  const files: File[] = [];
  for (const name of FILES) {
    const bytes = new Uint8Array(await (await fetch(TOY + name)).arrayBuffer());
    const content = name in change ? change[name] : bytes;
    if (content !== undefined) files.push(new File([content], name));
  }
  return files;
}

let reference: string;
beforeAll(async () => {
  const { requestDevice } = GPUAdapter.prototype;
  vi.spyOn(GPUAdapter.prototype, 'requestDevice').mockImplementation(async function (
    this: GPUAdapter,
    descriptor,
  ) {
    const device = await requestDevice.call(this, descriptor);
    devices.push(device);
    return device;
  });
  const { create } = ort.InferenceSession;
  vi.spyOn(ort.InferenceSession, 'create').mockImplementation(async (...args: unknown[]) => {
    const session = await (create as (...all: unknown[]) => Promise<ort.InferenceSession>)(...args);
    sessions.add(session);
    const release = session.release.bind(session);
    session.release = () => {
      sessions.delete(session);
      return release();
    };
    return session;
  });
  send({
    type: 'load-model',
    id: ++id,
    source: { kind: 'files', files: await toyFiles({}) },
    name: 'Toy',
    backend: 'ort',
  });
  await next('model-ready');
  const file = await (await fetch('/samples/one-moves.mp4')).blob();
  send({ type: 'open-video', id: ++id, file, name: 'one-moves.mp4' });
  await next('video-ready');
  reference = await answer();
  expect(reference.length).toBeGreaterThan(10);
});
afterAll(() => {
  vi.restoreAllMocks();
  for (const device of devices) device.destroy();
});

describe('a model that cannot be loaded', { timeout: 60_000 }, () => {
  it.each([
    [
      'a wrong shape',
      { 'config.json': { num_queries: 32 } },
      /latents has shape \[8, 128\], and the config asks for \[4, 128\]/,
    ],
    [
      'another architecture',
      { 'config.json': { model_type: 'qwen2_vl' } },
      /config.json: model_type is "qwen2_vl", and only tinyllava/,
    ],
    [
      'a page in the place of its config',
      { 'config.json': '<!doctype html><title>Sign in</title>' },
      /config.json is not JSON, but a web page/,
    ],
    [
      'a renamed text file',
      { 'model.safetensors': 'my notes about the model' },
      /model.safetensors is not a safetensors file, but a text file/,
    ],
    [
      'NaN in its weights',
      { 'model.safetensors': 'nan' },
      /model.safetensors: the tensor \S+ \[.*\] has a value that is NaN or infinite, at \[/,
    ],
    [
      'no weights',
      { 'model.safetensors': undefined },
      /neither model.safetensors nor model.safetensors.index.json/,
    ],
  ])('is named, and the one before it goes on: %s', async (_, change, message) => {
    const made: Record<string, string | Uint8Array<ArrayBuffer> | undefined> = {};
    for (const [name, value] of Object.entries(change)) {
      if (value === 'nan') {
        const bytes = new Uint8Array(await (await fetch(TOY + name)).arrayBuffer());
        // The first value of the first tensor, F16.
        const header = Number(new DataView(bytes.buffer).getBigUint64(0, true));
        bytes.set([0, 0x7e], 8 + header);
        made[name] = bytes;
      } else if (typeof value === 'object') {
        const json = await (await fetch(TOY + name)).json();
        made[name] = JSON.stringify({ ...json, ...value });
      } else made[name] = value;
    }
    const before = sessions.size;
    const count = devices.length;
    const kept = 1;
    send({
      type: 'load-model',
      id: ++id,
      source: { kind: 'files', files: await toyFiles(made) },
      name: 'Bad',
    });
    while (!events.some((event) => event.type === 'error')) {
      await new Promise<void>((resolve) => {
        arrived = resolve;
      });
    }
    const error = events.find((event) => event.type === 'error')!;
    expect(error).toMatchObject({ id, model_kept: kept, error: { scope: 'model', code: 'checkpoint' } });
    expect(error.error.message).toMatch(message);
    expect(sessions.size).toBe(before);
    // Nothing half-loaded is left: its device is gone.
    expect(devices.length).toBe(count + 1);
    expect((await devices.at(-1)!.lost).reason).toBe('destroyed');
    if (message.source.includes('NaN')) expect(await answer()).toBe(reference);
  });
});

describe('a GPU that is lost', { timeout: 90_000 }, () => {
  it('in the middle of an answer comes back with model and video, and answers the same', async () => {
    ask();
    await next('tokens');
    const loaded = sessions.size;
    devices[0]!.destroy();
    const lost = await next('device-lost');
    expect(lost.reason.length).toBeGreaterThan(5);
    await next('model-ready');
    await next('video-ready');
    expect(events.filter((event) => event.type === 'error')).toEqual([]);
    expect(await answer()).toBe(reference);
    expect(sessions.size).toBe(loaded);
  });

  it('again within a minute is not opened once more, and says so', async () => {
    send({ type: 'stop' });
    const device = devices.at(-1)!;
    // Another model is loading beside it, and its files do not come.
    const config = Object.assign(new File(['{}'], 'config.json'), {
      slice: () => ({ arrayBuffer: () => new Promise(() => {}) }),
    });
    const source = { kind: 'files', files: [config] } as const;
    send({ type: 'load-model', id: ++id, source, name: 'Next', beside: true });
    await vi.waitFor(() => expect(devices.at(-1)).not.toBe(device), { timeout: 20_000 });
    device.destroy();
    await expect(next('device-lost')).rejects.toThrow(/reset twice in one minute, so we stopped/);
    expect(events.filter(({ type }) => type === 'error')).toMatchObject([{ id }, { id: 1 }]);
    ask();
    await expect(next('answered')).rejects.toThrow(/"code":"no-model"/);
    expect(sessions.size).toBe(0);
  });
});
