import type { Gpu } from '../gpu/device';
import type { Binding } from '../gpu/recorder';
import { type GpuTensor, sizeOf } from '../gpu/tensor';

/** Bindings begin at multiples of this many bytes (WebGPU's default, and the most that an adapter may ask for). */
const ALIGNMENT = 256;

function elementBytes({ dtype }: GpuTensor): number {
  return dtype === 'f16' ? 2 : 4;
}

/**
 * Rows of a window where a KV storage is larger than one binding may be; undefined where it is not.
 * @param width elements of a row.
 * @throws Error where the limit does not hold even a few rows.
 */
export function windowRows(tensor: GpuTensor, width: number, limit: number): number | undefined {
  const rowBytes = width * elementBytes(tensor);
  if (sizeOf(tensor.shape) * elementBytes(tensor) <= limit) return undefined;
  let step = 1;
  while ((step * rowBytes) % ALIGNMENT !== 0) step += 1;
  const rows = Math.floor(limit / rowBytes / step) * step;
  if (rows === 0)
    throw new Error(`A KV row of ${rowBytes} bytes does not fit the device's limit of ${limit} a binding.`);
  return rows;
}

/** A tensor's window from row `start`, or all of it where there are no windows. */
export function windowOf(tensor: GpuTensor, width: number, start: number, rows: number | undefined): Binding {
  if (rows === undefined) return tensor;
  const rowBytes = width * elementBytes(tensor);
  const offset = start * rowBytes;
  const size = Math.min(rows * rowBytes, sizeOf(tensor.shape) * elementBytes(tensor) - offset);
  return { buffer: tensor.buffer, offset, size };
}

/** The largest binding of a device, or the smaller one that a test asks for. */
export function bindingLimit(gpu: Gpu, asked?: number): number {
  return Math.min(asked ?? Number.POSITIVE_INFINITY, gpu.device.limits.maxStorageBufferBindingSize);
}
