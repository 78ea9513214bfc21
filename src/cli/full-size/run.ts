import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { randomValues } from '../../bench/random-values';
import { Generator } from '../../generate/generate';
import { type Gpu, openGpu } from '../../gpu/device';
import { uploadTensor } from '../../gpu/tensor';
import { presetPrecision } from '../../model/precision';
import { type LoadModelOptions, TinyLlava } from '../../model/tiny-llava';
import { folderBytes } from '../../storage/folder';
import { KeptModels } from '../../storage/kept-models';
import type { Checkpoint } from '../../weights/checkpoint';
import { type FileStore, hubStore } from '../../weights/file-store';
import { keepWhileLoading, openKept } from '../../worker/kept-model';
import { DiskFolder, lonelyLocks } from './disk-folder';

/** What of the published model is run. */
export interface FullSizeRequest {
  /** Layers of the language model, and at most so many of the vision tower; 36 is the whole model. */
  layers: number;
  frames: number;
}

/** What a run took: seconds and bytes. */
export interface FullSizeReport {
  device: string;
  layers: number;
  parameters: number;
  /** From the hub's first byte to the last tensor quantised and kept. */
  load_s: number;
  /** Compiling all pipelines, with a run of each. */
  compile_s: number;
  frames: number;
  encode_s: number;
  prompt_tokens: number;
  prefill_s: number;
  new_tokens: number;
  decode_s: number;
  /** From disk to the GPU. */
  reload_s: number;
  downloaded: number;
  disk: number;
  /** The most that this process's JavaScript heap and its array buffers held while loading, over what they held before. */
  peak_heap: number;
  weights: number;
  /** The most that was allocated on the GPU at a time, counted. */
  peak_gpu: number;
  /** Root mean square of the quantisation's relative error, mean over each part's tensors. */
  errors: Record<string, number>;
  /** The tokens after loading, and the same after reloading. */
  ids: number[];
}

const PROMPT = 'What moves through the picture, and to which side does it go at the end of the video clip?';
const PROMPT_TOKENS = 16;
const NEW_TOKENS = 4;

/**
 * Runs the published model from a synthetic hub: loads and quantises it, keeps it on disk, encodes frames, answers, and
 * answers again after loading it from disk.
 * @throws Error where the answer after reloading is another one.
 */
export async function runFullSize(
  request: FullSizeRequest,
  onLine: (line: string) => void,
): Promise<FullSizeReport> {
  const { layers, frames } = request;
  const hub = await startHub(layers);
  const hurryAgain = waitInPeace();
  const root = await mkdtemp(join(tmpdir(), 'full-size-'));
  const folder = new DiskFolder(root);
  const models = new KeptModels(folder, lonelyLocks());
  const gpu = await openGpu();
  try {
    gpu.memory.resetPeak();
    const heap = watchHeap();
    const source = { endpoint: hub.endpoint, repository: 'synthetic/published', revision: 'main' };
    const kept = keepWhileLoading(models, hubStore(source), {
      source: 'synthetic/published',
      name: 'published',
    });
    const first = await load(gpu, kept.store, kept.openCache, onLine);
    const peak_heap = heap.stop();
    const problem = kept.problem();
    if (problem) throw new Error(problem);
    const { model } = first;
    const disk = await folderBytes(folder, 'models');
    const downloaded = await hub.bytesSent();
    onLine(
      `Loaded, quantised and kept in ${seconds(first.load_s)}, compiled in ${seconds(first.compile_s)}: ` +
        `${bytes(downloaded)} fetched, ${bytes(model.weights.bytes)} on the GPU, ${bytes(disk)} on disk, ` +
        `${bytes(peak_heap)} of JavaScript memory at most.`,
    );
    const encode_s = await encode(gpu, model, frames);
    onLine(`${frames} ${frames === 1 ? 'frame' : 'frames'} encoded in ${seconds(encode_s)}.`);
    const { ids, prefill_s, decode_s } = await answer(gpu, model);
    onLine(
      `${PROMPT_TOKENS} prompt tokens in ${seconds(prefill_s)}, ${ids.length} new ones in ${seconds(decode_s)}.`,
    );
    const { parameters, weights } = model;
    const errors = Object.fromEntries(model.precision.map(({ part, mean_error }) => [part, mean_error]));
    const weightBytes = weights.bytes;
    const peak_gpu = gpu.memory.peakBytes;
    await model.destroy();
    const only = (await models.list())[0];
    if (!only) throw new Error('The model was not kept.');
    const { checkpoint, openCache } = await openKept(models, only.id);
    if (!checkpoint) throw new Error('What was kept of the model is damaged.');
    const again = await load(gpu, checkpoint, openCache, onLine);
    onLine(`Loaded from disk in ${seconds(again.load_s)}.`);
    const repeated = await answer(gpu, again.model);
    await again.model.destroy();
    if (repeated.ids.join() !== ids.join())
      throw new Error(
        `After reloading the answer is ${repeated.ids.join(' ')}, and it was ${ids.join(' ')}.`,
      );
    return {
      device: gpu.adapter.description || gpu.adapter.architecture,
      layers,
      parameters,
      load_s: first.load_s,
      compile_s: first.compile_s,
      frames,
      encode_s,
      prompt_tokens: PROMPT_TOKENS,
      prefill_s,
      new_tokens: ids.length,
      decode_s,
      reload_s: again.load_s,
      downloaded,
      disk,
      peak_heap,
      weights: weightBytes,
      peak_gpu,
      errors,
      ids,
    };
  } finally {
    gpu.close();
    hub.stop();
    hurryAgain();
    await rm(root, { recursive: true, force: true });
  }
}

async function load(
  gpu: Gpu,
  source: FileStore | Checkpoint,
  openCache: NonNullable<LoadModelOptions['openCache']>,
  onLine: (line: string) => void,
): Promise<{ model: TinyLlava; load_s: number; compile_s: number }> {
  const begin = performance.now();
  let loaded = begin;
  let tenths = 0;
  const model = await TinyLlava.load(gpu, source, {
    precision: presetPrecision('4-bit', gpu.f16),
    openCache,
    onProgress(progress) {
      if (progress.stage !== 'weights') {
        if (progress.done === 0) loaded = performance.now();
        return;
      }
      const now = Math.floor((10 * progress.done) / progress.total);
      if (now > tenths && now < 10)
        onLine(`${10 * now} % after ${seconds((performance.now() - begin) / 1000)}`);
      tenths = Math.max(tenths, now);
    },
  });
  return { model, load_s: (loaded - begin) / 1000, compile_s: (performance.now() - loaded) / 1000 };
}

/** Seconds to turn made-up frames into visual tokens. */
async function encode(gpu: Gpu, model: TinyLlava, frames: number): Promise<number> {
  const side = model.config.vision_config.image_size;
  const shape = [frames, 3, side, side];
  const pixels = uploadTensor(gpu, randomValues(9, frames * 3 * side * side), shape, 'f32', 'pixels');
  const begin = performance.now();
  const visual = await model.encodeVideo(pixels);
  await gpu.device.queue.onSubmittedWorkDone();
  const time = (performance.now() - begin) / 1000;
  for (const { buffer } of [pixels, visual]) buffer.destroy();
  return time;
}

/** A greedy answer to a prompt without a video. */
async function answer(
  gpu: Gpu,
  model: TinyLlava,
): Promise<{ ids: number[]; prefill_s: number; decode_s: number }> {
  const generator = await Generator.create(gpu, model);
  const prompt_ids = Int32Array.from(model.tokenizer.encode(PROMPT).slice(0, PROMPT_TOKENS));
  if (prompt_ids.length < PROMPT_TOKENS) throw new Error(`The prompt has ${prompt_ids.length} tokens alone.`);
  const begin = performance.now();
  let first = begin;
  const ids: number[] = [];
  const settings = { temperature: 0, top_k: 0, top_p: 1, seed: 1 };
  for await (const tokens of generator.generate({ prompt_ids, settings, max_new_tokens: NEW_TOKENS })) {
    if (ids.length === 0) first = performance.now();
    ids.push(...tokens.map(({ record }) => record.id));
  }
  const end = performance.now();
  generator.destroy();
  return { ids, prefill_s: (first - begin) / 1000, decode_s: (end - first) / 1000 };
}

interface HubProcess {
  endpoint: string;
  bytesSent(): Promise<number>;
  stop(): void;
}

async function startHub(layers: number): Promise<HubProcess> {
  const path = fileURLToPath(new URL('./hub-process.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', path, String(layers)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done) throw new Error('The synthetic hub did not start.');
    return value;
  };
  return {
    endpoint: await line(),
    async bytesSent() {
      child.stdin.write('\n');
      return Number(await line());
    },
    stop: () => child.kill(),
  };
}

/**
 * While a promise of the GPU is pending, Dawn for Node asks for news at every turn of the event loop, which takes a core
 * that a CPU adapter computes on: now every other millisecond. Gives what ends it.
 */
function waitInPeace(): () => void {
  const immediate = globalThis.setImmediate;
  const later = (work: (...args: unknown[]) => void, ...args: unknown[]) => setTimeout(work, 2, ...args);
  Object.assign(globalThis, { setImmediate: later });
  return () => Object.assign(globalThis, { setImmediate: immediate });
}

/** Watches what the JavaScript side holds; `stop` gives the most that it grew by. */
function watchHeap(): { stop(): number } {
  const held = () => {
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = held();
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, held());
  }, 20);
  return {
    stop() {
      clearInterval(timer);
      return most - before;
    },
  };
}

function seconds(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 0)} s`;
}

function bytes(value: number): string {
  return value < 1e9 ? `${(value / 1e6).toFixed(0)} MB` : `${(value / 1e9).toFixed(2)} GB`;
}
