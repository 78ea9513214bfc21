import type { Gpu } from '../gpu/device';
import { largestTensor } from '../gpu/largest-tensor';
import { byteLength, createTensor, destroyTensor, type GpuTensor } from '../gpu/tensor';
import type { Checkpoint, StoredTensor } from './checkpoint';
import { BadWeightsError, CheckpointError, DamagedKeepError } from './errors';
import { HeldBytes } from './held-bytes';
import { fillFromCache, type TensorCache, TensorKeeper, tensorBytes } from './kept-tensors';
import { type Piece, planReads, type Read } from './plan-reads';
import { Quantiser, type WeightPrecision } from './quantiser';
import { firstNonFinite, isFloatDtype, widenToF32 } from './widen';

/** Reads under way at a time: with CHUNK_BYTES the bound of what a load holds in memory. */
const READS_IN_FLIGHT = 6;

/** What a model needs of a checkpoint (see `expectedTensors` in model/tensor-names). */
export interface ExpectedTensors {
  /** Tensors to load: name to shape. */
  readonly used: ReadonlyMap<string, readonly number[]>;
  /** Tensors that a checkpoint may hold and that are not loaded. */
  readonly unused: ReadonlyMap<string, readonly number[]>;
}

/** Bytes of a file that are loaded, and that are wanted of it. */
export interface FileProgress {
  name: string;
  done: number;
  total: number;
}

/**
 * Called as bytes arrive, with the bytes so far and in all: those of the files, or, `kept`, those on the GPU of what is
 * taken from where it was kept. `files`: the same, file by file; the list is the caller's.
 */
export type LoadProgress = (
  loadedBytes: number,
  totalBytes: number,
  kept: boolean,
  files?: readonly FileProgress[],
) => void;

/** Options of `loadWeights`. */
export interface LoadOptions {
  onProgress?: LoadProgress;
  signal?: AbortSignal;
  /** How a tensor is stored on the GPU (default f32): another than f32 for `[N, K]` alone, f16 for an even K. */
  precision?: (name: string) => WeightPrecision;
  /** Where tensors are taken from where they were kept, and kept where they were not. */
  cache?: TensorCache;
  /** Told once, and at once, where tensors cannot be kept; the weights are loaded all the same. */
  onNotKept?: (cause: unknown) => void;
  /**
   * Called with the bytes of weights that are in memory on their way to the GPU or to disk, as they come and go: reads
   * that are asked for, what was widened of them, what is being kept.
   */
  onHeld?: (bytes: number) => void;
}

/** A model's weights on the GPU, row-major as stored (`[out, in]` of a linear layer), f32 or as `precision` said. */
export class Weights {
  /** Bytes on the GPU. */
  readonly bytes: number;

  constructor(
    private readonly tensors: Map<string, GpuTensor>,
    /** Relative error (root mean square) that storing a tensor in fewer bits made, by checkpoint name. */
    readonly errors: ReadonlyMap<string, number> = new Map(),
  ) {
    let bytes = 0;
    for (const { buffer, scales } of tensors.values()) bytes += buffer.size + (scales?.buffer.size ?? 0);
    this.bytes = bytes;
  }

  /** A tensor by its checkpoint name. Throws where it was not among the tensors to load. */
  get(name: string): GpuTensor {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new Error(`No weight ${name} was loaded.`);
    return tensor;
  }

  /** Whether a tensor of that checkpoint name was loaded. */
  has(name: string): boolean {
    return this.tensors.has(name);
  }

  /** Checkpoint names of the tensors that were loaded. */
  names(): string[] {
    return [...this.tensors.keys()];
  }

  /** Frees the buffers. */
  destroy(): void {
    for (const tensor of this.tensors.values()) destroyTensor(tensor);
    this.tensors.clear();
  }
}

/**
 * Compares a checkpoint with what a model needs.
 * @param kept tensors that the checkpoint's files may lack
 * @throws CheckpointError naming the first missing, misshapen, unreadable or unexpected tensor and its file.
 */
export function checkTensors(
  checkpoint: Checkpoint,
  expected: ExpectedTensors,
  kept: Pick<ReadonlyMap<string, unknown>, 'has'> = new Map(),
): void {
  const files = checkpoint.files.join(', ');
  for (const [name, shape] of expected.used) {
    const stored = checkpoint.tensors.get(name);
    if (!stored) {
      if (kept.has(name)) continue;
      throw new CheckpointError(
        `The tensor ${name} [${shape.join(', ')}] is missing in ${checkpoint.name} (${files}).`,
      );
    }
    checkShape(name, stored, shape);
    if (!isFloatDtype(stored.dtype)) {
      throw new CheckpointError(
        `${stored.source.name}: the tensor ${name} is of type ${stored.dtype}; F32, F16 and BF16 can be loaded.`,
      );
    }
  }
  for (const [name, stored] of checkpoint.tensors) {
    const shape = expected.unused.get(name);
    if (shape) checkShape(name, stored, shape);
    else if (!expected.used.has(name)) {
      throw new CheckpointError(
        `${stored.source.name}: the tensor ${name} does not belong to the model that config.json describes.`,
      );
    }
  }
}

function checkShape(name: string, stored: StoredTensor, shape: readonly number[]): void {
  if (stored.shape.length === shape.length && shape.every((dim, i) => dim === stored.shape[i])) return;
  throw new CheckpointError(
    `${stored.source.name}: the tensor ${name} has shape [${stored.shape.join(', ')}], and the config asks for [${shape.join(', ')}].`,
  );
}

/**
 * Uploads the used tensors of a checkpoint as f32 (F16 and BF16 widened exactly), or as `precision` says, converted on
 * the GPU. At most a few chunks of the file are in memory at a time. Unused tensors are not read.
 * @throws CheckpointError as `checkTensors`, and naming the first tensor found with a NaN or an infinite value;
 * GpuMemoryError where the weights find no room. What was uploaded is freed again.
 */
export async function loadWeights(
  gpu: Gpu,
  checkpoint: Checkpoint,
  expected: ExpectedTensors,
  options: LoadOptions = {},
): Promise<Weights> {
  checkTensors(checkpoint, expected, options.cache?.tensors);
  const precision = options.precision ?? (() => 'f32');
  const limit = largestTensor(gpu.device.limits);
  for (const [name, shape] of expected.used) {
    const dtype = precision(name);
    if (byteLength(shape, dtype) > limit) {
      throw new CheckpointError(
        `The tensor ${name} [${shape.join(', ')}] takes ${byteLength(shape, dtype)} bytes in ${dtype}, and this GPU allows ${limit} in one buffer.`,
      );
    }
  }
  const tensors = new Map<string, GpuTensor>();
  for (const [name, shape] of expected.used)
    tensors.set(name, createTensor(gpu, shape, precision(name), name));
  const errors = new Map<string, number>();
  const held = new HeldBytes(options.onHeld);
  let quantiser: Quantiser | undefined;
  try {
    await gpu.memory.check();
    const missing = await takeKept(gpu, tensors, errors, held, options);
    const damaged = [...missing.keys()].find((name) => !checkpoint.tensors.has(name));
    if (damaged)
      throw new DamagedKeepError(
        `The tensor ${damaged} was kept in this browser and is damaged. Load the model from where it came from: what is missing is fetched again.`,
      );
    const reads = planReads(checkpoint, missing);
    quantiser = await makeQuantiser(gpu, reads);
    await gpu.memory.check();
    await readAll(gpu, reads, quantiser, held, options);
    for (const [name, error] of (await quantiser?.errors()) ?? []) errors.set(name, error);
    return new Weights(tensors, errors);
  } catch (cause) {
    for (const tensor of tensors.values()) destroyTensor(tensor);
    throw cause;
  } finally {
    quantiser?.destroy();
  }
}

/** Fills tensors with what was kept of them; gives those that must be loaded. */
async function takeKept(
  gpu: Gpu,
  tensors: ReadonlyMap<string, GpuTensor>,
  errors: Map<string, number>,
  held: HeldBytes,
  { cache, signal, onProgress }: LoadOptions,
): Promise<ReadonlyMap<string, GpuTensor>> {
  if (!cache) return tensors;
  const missing = new Map<string, GpuTensor>();
  const total = [...tensors.values()].reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
  let taken = 0;
  for (const [name, tensor] of tensors) {
    signal?.throwIfAborted();
    const error = cache.tensors.get(name)?.error;
    if (!(await fillFromCache(gpu, cache, name, tensor, held))) {
      missing.set(name, tensor);
      continue;
    }
    if (error !== undefined) errors.set(name, error);
    taken += tensorBytes(tensor);
    onProgress?.(taken, total, true);
  }
  return missing;
}

/** What converts the pieces that are not stored as f32, if there are any. */
async function makeQuantiser(gpu: Gpu, reads: readonly Read[]): Promise<Quantiser | undefined> {
  const pieces = reads.flatMap((read) => read.pieces).filter(({ tensor }) => tensor.dtype !== 'f32');
  if (pieces.length === 0) return undefined;
  return Quantiser.create(gpu, {
    conversions: pieces.map(({ dtype, tensor }) => [dtype, tensor.dtype as 'f16' | 'q8' | 'q4'] as const),
    staging_bytes: Math.max(...pieces.map(({ from, to }) => to - from)),
    parts: pieces.length,
  });
}

/** Reads everything, a few reads at a time, and writes it to the GPU. */
async function readAll(
  gpu: Gpu,
  reads: readonly Read[],
  quantiser: Quantiser | undefined,
  held: HeldBytes,
  { signal, onProgress, cache, onNotKept }: LoadOptions,
): Promise<void> {
  const keeper =
    cache &&
    new TensorKeeper(gpu, cache, {
      held,
      errorOf: async (name) => (await quantiser?.errors())?.get(name),
      onFailure: (cause) => onNotKept?.(cause),
    });
  // Pieces of each tensor that are still to come.
  const left = new Map<string, number>();
  for (const { pieces } of reads) for (const { name } of pieces) left.set(name, (left.get(name) ?? 0) + 1);
  const files = new Map<string, FileProgress>();
  for (const { source, start, end } of reads) {
    const { name } = source;
    files.set(name, { name, done: 0, total: (files.get(name)?.total ?? 0) + end - start });
  }
  const total = reads.reduce((sum, read) => sum + read.end - read.start, 0);
  let loaded = 0;
  let next = 0;
  // A function of its own: its bytes must not be held while tensors are kept.
  const take = async (read: Read): Promise<void> => {
    const bytes = await read.source.read(read.start, read.end);
    for (const piece of read.pieces)
      upload(
        { gpu, quantiser, held },
        read,
        piece,
        bytes.subarray(piece.from - read.start, piece.to - read.start),
      );
  };
  const lane = async (): Promise<void> => {
    for (let read = reads[next++]; read; read = reads[next++]) {
      signal?.throwIfAborted();
      const size = read.end - read.start;
      held.add(size);
      try {
        await take(read);
        // What was written waits in memory until the GPU has taken it.
        await gpu.device.queue.onSubmittedWorkDone();
      } finally {
        held.add(-size);
      }
      for (const { name, tensor } of read.pieces) {
        left.set(name, left.get(name)! - 1);
        if (keeper && left.get(name) === 0) await keeper.keep(name, tensor);
      }
      loaded += size;
      const file = files.get(read.source.name)!;
      files.set(file.name, { ...file, done: file.done + size });
      onProgress?.(loaded, total, false, [...files.values()]);
    }
  };
  const stopping = async (): Promise<void> => {
    try {
      await lane();
    } catch (cause) {
      // One bad read ends them all.
      next = reads.length;
      throw cause;
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: READS_IN_FLIGHT }, stopping));
  keeper?.destroy();
  const failed = lanes.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

function upload(
  { gpu, quantiser, held }: { gpu: Gpu; quantiser: Quantiser | undefined; held: HeldBytes },
  read: Read,
  piece: Piece,
  bytes: Uint8Array<ArrayBuffer>,
): void {
  const { name, tensor, dtype, element } = piece;
  const bad = firstNonFinite(bytes, dtype);
  if (bad >= 0) throw notFinite(read.source.name, piece, bad);
  if (tensor.dtype === 'f32') {
    const values = widenToF32(bytes, dtype);
    held.add(values.byteLength);
    gpu.device.queue.writeBuffer(tensor.buffer, element * 4, values);
    held.add(-values.byteLength);
  } else quantiser!.convert(name, tensor, { bytes, dtype, row: element / tensor.shape.at(-1)! });
}

function notFinite(file: string, piece: Piece, index: number): BadWeightsError {
  const { shape } = piece.tensor;
  let rest = piece.element + index;
  const position: number[] = [];
  for (const dim of [...shape].reverse()) {
    position.unshift(rest % dim);
    rest = Math.floor(rest / dim);
  }
  return new BadWeightsError(
    `${file}: the tensor ${piece.name} [${shape.join(', ')}] has a value that is NaN or infinite, at [${position.join(', ')}]. ` +
      'The file is damaged or its training went wrong: get it again.',
  );
}
