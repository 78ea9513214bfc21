import type { Gpu } from '../gpu/device';
import { Recorder } from '../gpu/recorder';
import { byteLength, type GpuTensor } from '../gpu/tensor';
import type { HeldBytes } from './held-bytes';

/** Bytes that are in memory at a time, on their way between disk and GPU. */
const PART_BYTES = 4 * 2 ** 20;
/** Of what is kept; earlier versions wrote larger parts. */
const LARGEST_PART = 16 * 2 ** 20;

/** Where weights are kept as they lie on the GPU (`OpenModel` of the storage room is one). */
export interface TensorCache {
  readonly tensors: ReadonlyMap<
    string,
    { dtype: string; shape: readonly number[]; error?: number; parts: readonly { bytes: number }[] }
  >;
  /** A tensor's bytes, part by part. Throws where they are not there, or not what was written. */
  read(name: string): AsyncIterable<Uint8Array<ArrayBuffer>>;
  /** Keeps a tensor's bytes. */
  add(
    tensor: { name: string; dtype: string; shape: readonly number[]; error?: number },
    parts: AsyncIterable<Uint8Array<ArrayBuffer>>,
  ): Promise<void>;
}

/** Bytes of a tensor on the GPU, its scales included. */
export function tensorBytes({ shape, dtype, scales }: GpuTensor): number {
  return byteLength(shape, dtype) + (scales ? byteLength(scales.shape, scales.dtype) : 0);
}

/** The stretches that a tensor's bytes are cut into: none reaches over the end of a buffer. */
function stretches(tensor: GpuTensor): { buffer: GPUBuffer; offset: number; bytes: number }[] {
  return [tensor, ...(tensor.scales ? [tensor.scales] : [])].flatMap((part) => {
    const size = byteLength(part.shape, part.dtype);
    return Array.from({ length: Math.ceil(size / PART_BYTES) }, (_, i) => {
      const offset = i * PART_BYTES;
      return { buffer: part.buffer, offset, bytes: Math.min(PART_BYTES, size - offset) };
    });
  });
}

/**
 * Fills a tensor with what was kept of it.
 * @returns false where that is not there, of another type or shape, or damaged: the tensor must be loaded then.
 */
export async function fillFromCache(
  gpu: Gpu,
  cache: TensorCache,
  name: string,
  tensor: GpuTensor,
  held: HeldBytes,
): Promise<boolean> {
  const kept = cache.tensors.get(name);
  if (kept?.dtype !== tensor.dtype || kept.shape.join() !== tensor.shape.join()) return false;
  // The parts need not be those that are written today.
  const sizes = kept.parts.map(({ bytes }) => bytes);
  if (sizes.some((bytes) => bytes > LARGEST_PART || bytes % 4 !== 0)) return false;
  if (sizes.reduce((sum, bytes) => sum + bytes, 0) !== tensorBytes(tensor)) return false;
  let start = 0;
  let waiting = 0;
  try {
    for await (const part of cache.read(name)) {
      held.add(part.byteLength);
      write(gpu, tensor, start, part);
      start += part.byteLength;
      waiting += part.byteLength;
      if (waiting < PART_BYTES) continue;
      // What was written waits in memory until the GPU has taken it.
      await gpu.device.queue.onSubmittedWorkDone();
      held.add(-waiting);
      waiting = 0;
    }
  } catch {
    // Damaged: what the checksum found once must not be trusted, and can be had again.
    return false;
  } finally {
    held.add(-waiting);
  }
  return true;
}

/** Writes a part of a tensor's bytes (its values, then its scales), from byte `start` of them on. */
function write(gpu: Gpu, tensor: GpuTensor, start: number, part: Uint8Array<ArrayBuffer>): void {
  const { queue } = gpu.device;
  const values = byteLength(tensor.shape, tensor.dtype);
  const own = Math.max(0, Math.min(part.byteLength, values - start));
  if (own > 0) queue.writeBuffer(tensor.buffer, start, part, 0, own);
  if (own < part.byteLength)
    queue.writeBuffer(tensor.scales!.buffer, start + own - values, part, own, part.byteLength - own);
}

/** Reads tensors back from the GPU as they are ready, one after another, and keeps them. */
export class TensorKeeper {
  /** Nothing more is kept: the weights on the GPU are whole all the same. */
  private failed = false;
  private tail: Promise<void> = Promise.resolve();
  private readonly recorder: Recorder;
  private readonly staging: GPUBuffer;

  /**
   * @param options.errorOf the error that storing a tensor made, once it is converted.
   * @param options.onFailure told once why nothing more is kept (storage that is full, say).
   */
  constructor(
    gpu: Gpu,
    private readonly cache: TensorCache,
    private readonly options: {
      held: HeldBytes;
      errorOf: (name: string) => Promise<number | undefined>;
      onFailure: (cause: unknown) => void;
    },
  ) {
    this.recorder = new Recorder(gpu, 'keep weights');
    this.staging = gpu.device.createBuffer({
      label: 'weights to keep',
      size: PART_BYTES,
      usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
    });
  }

  /** Keeps a tensor whose bytes have all been written. The promise is that of all so far; it does not reject. */
  keep(name: string, tensor: GpuTensor): Promise<void> {
    this.tail = this.tail.then(async () => {
      if (this.failed) return;
      try {
        const error = tensor.dtype === 'f32' ? undefined : await this.options.errorOf(name);
        const { dtype, shape } = tensor;
        await this.cache.add(
          { name, dtype, shape, ...(error === undefined ? {} : { error }) },
          this.parts(tensor),
        );
      } catch (cause) {
        this.failed = true;
        this.options.onFailure(cause);
      }
    });
    return this.tail;
  }

  /** Frees the buffer; after the last `keep`. */
  destroy(): void {
    this.staging.destroy();
  }

  private async *parts(tensor: GpuTensor): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    for (const { buffer, offset, bytes } of stretches(tensor)) {
      this.recorder.copy(buffer, offset, this.staging, 0, bytes);
      this.recorder.submit();
      await this.staging.mapAsync(GPUMapMode.READ, 0, bytes);
      // What is mapped, and its copy.
      const { held } = this.options;
      held.add(2 * bytes);
      const part = new Uint8Array(this.staging.getMappedRange(0, bytes).slice(0));
      this.staging.unmap();
      held.add(-bytes);
      try {
        yield part;
      } finally {
        held.add(-bytes);
      }
    }
  }
}
