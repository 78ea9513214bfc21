import { vi } from 'vitest';
import { countingGpu } from '../../src/gpu/counting-gpu';
import type { Gpu } from '../../src/gpu/device';

/** A GPU that only counts, in Node, where WebGPU's constants lack too. */
export function nodeCountingGpu(limit = 2 ** 31): Gpu {
  vi.stubGlobal('GPUBufferUsage', { STORAGE: 128, COPY_SRC: 4, COPY_DST: 8, UNIFORM: 64, MAP_READ: 1 });
  vi.stubGlobal('GPUMapMode', { READ: 1 });
  return countingGpu({
    device: { limits: { maxBufferSize: limit, maxStorageBufferBindingSize: limit } } as GPUDevice,
    adapter: { isFallback: true, limits: { maxComputeWorkgroupStorageSize: 16_384 } } as Gpu['adapter'],
    f16: false,
    subgroups: false,
    off: new Set(),
  });
}
