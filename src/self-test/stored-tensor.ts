import { roundToHalves, toHalves } from '../bench/halves';
import type { Gpu } from '../gpu/device';
import { type GpuTensor, readTensor, uploadTensor } from '../gpu/tensor';
import { widenToF32 } from '../weights/widen';

/** How a check's tensor is stored. */
export type Stored = 'f32' | 'f16';

/** Largest error of what is stored as f16: a value is off by 2^-11 of itself, and some come from several such. */
export const HALF_TOLERANCE = 2e-3;

/** Values on the GPU, and what is left of them once they are stored so. */
export function store(
  gpu: Gpu,
  values: Float32Array<ArrayBuffer>,
  shape: readonly number[],
  type: Stored,
  label: string,
): { tensor: GpuTensor; values: Float32Array<ArrayBuffer> } {
  if (type === 'f32') return { tensor: uploadTensor(gpu, values, shape, type, label), values };
  return {
    tensor: uploadTensor(gpu, toHalves(values), shape, type, label),
    values: roundToHalves(values),
  };
}

/** Reads a tensor of either type back. */
export async function readStored(gpu: Gpu, tensor: GpuTensor): Promise<Float32Array<ArrayBuffer>> {
  const data = await readTensor(gpu, tensor);
  return data instanceof Uint16Array
    ? widenToF32(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 'F16')
    : (data as Float32Array<ArrayBuffer>);
}
