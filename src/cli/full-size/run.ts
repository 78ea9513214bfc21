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
import { HeapWatch, type HeldHeap } from './watch-heap';

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
  /** What the JavaScript side held while loading. */
  heap: HeldHeap;
  /** The most bytes of weights that it held at a time, as the loader counts them. */
  held_weights: number;
  /** On the GPU. */
  weights: number;
  /** The most that was allocated on the GPU at a time, counted: in all, and in each stage. */
  peak_gpu: number;
  peak_gpu_by_stage: Record<Stage, number>;
  /** Root mean square of the quantisation's relative error, mean over each part's tensors. */
  errors: Record<string, number>;
  /** The tokens after loading, and after reloading. */
  ids: number[];
  reload_ids: number[];
  /** What is not as it should be: another answer after reloading, a reload that takes longer than the load. */
  problems: string[];
}

type Stage = 'load' | 'encode' | 'answer' | 'reload';

const PROMPT = 'What moves through the picture, and to which side does it go at the end of the video clip?';
const PROMPT_TOKENS = 16;
const NEW_TOKENS = 4;

/**
 * Runs the published model from a synthetic hub: loads and quantises it, keeps it on disk, encodes frames, answers, and
 * answers again after loading it from disk.
 * @throws Error where a part of it fails; what was measured and is not right is among the report's `problems`.
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
    const peaks: Partial<Record<Stage, number>> = {};
    const endStage = (stage: Stage) => {
      peaks[stage] = gpu.memory.peakBytes;
      gpu.memory.resetPeak();
    };
    gpu.memory.resetPeak();
    const watch = new HeapWatch();
    let held_weights = 0;
    const source = { endpoint: hub.endpoint, repository: 'synthetic/published', revision: 'main' };
    const kept = keepWhileLoading(models, hubStore(source), {
      source: 'synthetic/published',
      name: 'published',
    });
    const first = await load(gpu, kept.store, {
      async openCache(of) {
        const cache = await kept.openCache(of);
        watch.mark();
        return cache;
      },
      onHeld: (bytes) => {
        held_weights = Math.max(held_weights, bytes);
      },
      onTenth(line) {
        watch.look();
        onLine(line);
      },
    });
    const heap = watch.stop();
    endStage('load');
    const problem = kept.problem();
    if (problem) throw new Error(problem);
    const { model } = first;
    const disk = await folderBytes(folder, 'models');
    const downloaded = await hub.bytesSent();
    onLine(
      `Loaded, quantised and kept in ${seconds(first.load_s)}, compiled in ${seconds(first.compile_s)}: ` +
        `${bytes(downloaded)} fetched, ${bytes(model.weights.bytes)} on the GPU, ${bytes(disk)} on disk.`,
    );
    onLine(
      `JavaScript memory: at most ${bytes(held_weights)} of weights at a time, counted; in all ${bytes(heap.live)} in use ` +
        `(${bytes(heap.other)} of it before the weights came), ${bytes(heap.peak)} with what was not collected yet.`,
    );
    const encode_s = await encode(gpu, model, frames);
    endStage('encode');
    onLine(`${frames} ${frames === 1 ? 'frame' : 'frames'} encoded in ${seconds(encode_s)}.`);
    const { ids, prefill_s, decode_s } = await answer(gpu, model);
    endStage('answer');
    onLine(
      `${PROMPT_TOKENS} prompt tokens in ${seconds(prefill_s)}, ${ids.length} new ones in ${seconds(decode_s)}.`,
    );
    const { parameters, weights } = model;
    const errors = Object.fromEntries(model.precision.map(({ part, mean_error }) => [part, mean_error]));
    const weightBytes = weights.bytes;
    await model.destroy();
    gpu.memory.resetPeak();
    const only = (await models.list())[0];
    if (!only) throw new Error('The model was not kept.');
    const { checkpoint, openCache } = await openKept(models, only.id);
    if (!checkpoint) throw new Error('What was kept of the model is damaged.');
    const again = await load(gpu, checkpoint, { openCache, onTenth: onLine });
    onLine(
      `Loaded from disk in ${seconds(again.load_s)}, ${((100 * again.load_s) / first.load_s).toFixed(1)} % of the first time.`,
    );
    const { ids: reload_ids } = await answer(gpu, again.model);
    endStage('reload');
    await again.model.destroy();
    const same = reload_ids.join() === ids.join();
    if (same) onLine(`The same ${ids.length} tokens as before: ${ids.join(' ')}.`);
    const problems = [
      ...(same
        ? []
        : [`After reloading the answer is ${reload_ids.join(' ')}, and it was ${ids.join(' ')}.`]),
      ...(again.load_s < first.load_s
        ? []
        : [`Loading from disk took ${seconds(again.load_s)}, and from the hub ${seconds(first.load_s)}.`]),
    ];
    const peak_gpu_by_stage = peaks as Record<Stage, number>;
    const peak_gpu = Math.max(...Object.values(peak_gpu_by_stage));
    onLine(
      `GPU memory at most, counted: ${Object.entries(peak_gpu_by_stage)
        .map(([stage, most]) => `${stage} ${bytes(most)}`)
        .join(', ')}.`,
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
      heap,
      held_weights,
      weights: weightBytes,
      peak_gpu,
      peak_gpu_by_stage,
      errors,
      ids,
      reload_ids,
      problems,
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
  {
    onTenth,
    ...options
  }: Pick<LoadModelOptions, 'openCache' | 'onHeld'> & { onTenth: (line: string) => void },
): Promise<{ model: TinyLlava; load_s: number; compile_s: number }> {
  const begin = performance.now();
  let loaded = begin;
  let tenths = 0;
  const model = await TinyLlava.load(gpu, source, {
    precision: presetPrecision('4-bit', gpu.f16),
    ...options,
    onProgress(progress) {
      if (progress.stage !== 'weights') {
        if (progress.done === 0) loaded = performance.now();
        return;
      }
      const now = Math.floor((10 * progress.done) / progress.total);
      if (now > tenths && now < 10)
        onTenth(`${10 * now} % after ${seconds((performance.now() - begin) / 1000)}`);
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

function seconds(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 0)} s`;
}

function bytes(value: number): string {
  return value < 1e9 ? `${(value / 1e6).toFixed(0)} MB` : `${(value / 1e9).toFixed(2)} GB`;
}
