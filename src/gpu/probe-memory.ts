import type { Gpu } from './device';
import { GpuMemoryError } from './errors';

/** What is found is short of the truth by less than this, in bytes. */
export const PROBE_CHUNK = 256 * 2 ** 20;

/**
 * How many bytes the GPU gives in all, those alive now included, up to `wanted`: buffers are allocated under error
 * scopes until one finds no room, and freed again. WebGPU itself does not say. What runs meanwhile may find no room
 * either, so nothing should.
 */
export async function probeMemory(gpu: Gpu, wanted: number): Promise<number> {
  const { memory, device } = gpu;
  await memory.check();
  const { peakBytes } = memory;
  const most = Math.min(PROBE_CHUNK, device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize);
  const probes: GPUBuffer[] = [];
  let found = memory.bytes;
  try {
    while (found < wanted) {
      // Whole words; below 1 MiB there is no error scope.
      const size = 4 * Math.ceil(Math.max(2 ** 20, Math.min(most, wanted - found)) / 4);
      probes.push(device.createBuffer({ label: 'memory probe', size, usage: GPUBufferUsage.STORAGE }));
      await memory.check();
      found = memory.bytes;
    }
  } catch (cause) {
    if (!(cause instanceof GpuMemoryError)) throw cause;
  } finally {
    for (const buffer of probes) buffer.destroy();
    memory.peakBytes = peakBytes;
  }
  return Math.min(found, wanted);
}
