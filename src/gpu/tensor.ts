import type { Gpu } from './device';
import type { RangedBufferDescriptor } from './memory';

/**
 * Element types that live on the GPU. 'u8' is packed four to a u32. 'q4' and 'q8' are weights `[N, K]` in the layout of
 * ONNX Runtime's MatMulNBits: rows cut into blocks of `QUANTISED_BLOCK` values (the last one padded), 16 or 32 bytes a
 * block; value = (code - 8) * scale or (code - 128) * scale, of 4-bit codes the even ones in the low half of a byte.
 */
export type DType = 'f32' | 'f16' | 'i32' | 'u32' | 'u8' | QuantisedDType;

/** Element types that come with a scale a block. */
export type QuantisedDType = 'q4' | 'q8';

/** Values that share a scale. */
export const QUANTISED_BLOCK = 32;

const BYTES: Record<Exclude<DType, QuantisedDType>, number> = { f32: 4, f16: 2, i32: 4, u32: 4, u8: 1 };

/** A dense row-major array in its own GPU buffer, starting at byte 0. The buffer may be larger than the array. */
export interface GpuTensor {
  readonly buffer: GPUBuffer;
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** Of 'q4' and 'q8': f32 `[N, blocks]`, one scale a block. */
  readonly scales?: GpuTensor;
}

/** Whether a type is 'q4' or 'q8'. */
export function isQuantised(dtype: string): dtype is QuantisedDType {
  return dtype === 'q4' || dtype === 'q8';
}

/** Blocks of a row of a quantised weight. */
export function blocksOf(columns: number): number {
  return Math.ceil(columns / QUANTISED_BLOCK);
}

/** Bytes of a block of codes. */
export function blockBytes(dtype: QuantisedDType): number {
  return dtype === 'q4' ? QUANTISED_BLOCK / 2 : QUANTISED_BLOCK;
}

/** Frees a tensor's buffers. */
export function destroyTensor({ buffer, scales }: GpuTensor): void {
  buffer.destroy();
  scales?.buffer.destroy();
}

/** Number of elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/** Bytes of a dense array, rounded up to a multiple of 4 (WebGPU copies whole words), at least 16. */
export function byteLength(shape: readonly number[], dtype: DType): number {
  return Math.max(16, Math.ceil(exactBytes(shape, dtype) / 4) * 4);
}

function exactBytes(shape: readonly number[], dtype: DType): number {
  if (!isQuantised(dtype)) return sizeOf(shape) * BYTES[dtype];
  return sizeOf(shape.slice(0, -1)) * blocksOf(shape.at(-1)!) * blockBytes(dtype);
}

/**
 * Allocates a zeroed tensor usable as storage, copy source and destination. Its owner destroys `buffer`.
 * Where there is no room the buffer is invalid: await `gpu.memory.check()` before using what may be large.
 * @param options.ranged it may be larger than one binding, since ranges of it are bound (as of KV caches).
 */
export function createTensor(
  gpu: Gpu,
  shape: readonly number[],
  dtype: DType,
  label: string,
  options: { ranged?: boolean } = {},
): GpuTensor {
  const descriptor: RangedBufferDescriptor = {
    label,
    size: byteLength(shape, dtype),
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    ...options,
  };
  const buffer = gpu.device.createBuffer(descriptor);
  if (!isQuantised(dtype)) return { buffer, shape, dtype };
  const blocks = [...shape.slice(0, -1), blocksOf(shape.at(-1)!)];
  return { buffer, shape, dtype, scales: createTensor(gpu, blocks, 'f32', `${label} scales`) };
}

/**
 * Allocates a tensor and writes `data` (little-endian, row-major) into it. Odd tails are padded with zeros.
 * Of a quantised tensor these are the codes; its scales are written by themselves.
 */
export function uploadTensor(
  gpu: Gpu,
  data: ArrayBufferView<ArrayBuffer>,
  shape: readonly number[],
  dtype: DType,
  label: string,
): GpuTensor {
  const expected = exactBytes(shape, dtype);
  if (data.byteLength !== expected) {
    throw new Error(
      `${label}: ${data.byteLength} bytes given for shape [${shape.join(', ')}] ${dtype}, which takes ${expected}.`,
    );
  }
  const tensor = createTensor(gpu, shape, dtype, label);
  writeTensor(gpu, tensor, data);
  return tensor;
}

/** Writes `data` at the start of an existing tensor. */
export function writeTensor(gpu: Gpu, tensor: GpuTensor, data: ArrayBufferView<ArrayBuffer>): void {
  const whole = data.byteLength & ~3;
  const { buffer, byteOffset } = data;
  gpu.device.queue.writeBuffer(tensor.buffer, 0, buffer, byteOffset, whole);
  if (whole < data.byteLength) {
    const tail = new Uint8Array(4);
    tail.set(new Uint8Array(buffer, byteOffset + whole, data.byteLength - whole));
    gpu.device.queue.writeBuffer(tensor.buffer, whole, tail);
  }
}

/**
 * Reads a tensor back (tests, results at the end of a run; never in a hot loop). f16 comes as raw Uint16Array, a
 * quantised tensor as its codes' bytes.
 * @throws GpuMemoryError where something allocated before, or the copy, found no room.
 */
export async function readTensor(
  gpu: Gpu,
  tensor: GpuTensor,
): Promise<
  | Float32Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>
> {
  const bytes = byteLength(tensor.shape, tensor.dtype);
  const staging = gpu.device.createBuffer({
    label: 'read back',
    size: bytes,
    usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
  });
  try {
    if (gpu.memory.inDoubt) await gpu.memory.check();
    const encoder = gpu.device.createCommandEncoder();
    encoder.copyBufferToBuffer(tensor.buffer, 0, staging, 0, bytes);
    gpu.device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const copy = staging.getMappedRange().slice(0);
    const n = sizeOf(tensor.shape);
    switch (tensor.dtype) {
      case 'f32':
        return new Float32Array(copy, 0, n);
      case 'i32':
        return new Int32Array(copy, 0, n);
      case 'u32':
        return new Uint32Array(copy, 0, n);
      case 'f16':
        return new Uint16Array(copy, 0, n);
      case 'u8':
        return new Uint8Array(copy, 0, n);
      case 'q4':
      case 'q8':
        return new Uint8Array(copy, 0, exactBytes(tensor.shape, tensor.dtype));
    }
  } finally {
    staging.destroy();
  }
}

/** `readTensor` of an f32 tensor. */
export async function readF32(gpu: Gpu, tensor: GpuTensor): Promise<Float32Array<ArrayBuffer>> {
  if (tensor.dtype !== 'f32') throw new Error(`readF32 was given a ${tensor.dtype} tensor.`);
  return (await readTensor(gpu, tensor)) as Float32Array<ArrayBuffer>;
}
