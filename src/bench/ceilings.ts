import copyCode from '../../shaders/bench/copy.wgsl?raw';
import fmaCode from '../../shaders/bench/multiply-add.wgsl?raw';
import type { Gpu } from '../gpu/device';
import { expandWgsl } from '../gpu/expand-wgsl';
import { compileKernel } from '../gpu/kernel';
import { Recorder } from '../gpu/recorder';
import { createTensor } from '../gpu/tensor';
import type { Stopwatch } from './stopwatch';

/** What the adapter can do at best, measured: no kernel is faster than both allow. */
export interface Ceilings {
  /** 10^9 bytes a second, read and written, of a copy in the GPU's memory: a kernel's or the queue's own. */
  copy_gbps: number;
  /** 10^9 f32 operations a second; a multiply-add is two. */
  f32_gflops: number;
  /** The same in f16; null where shaders have none. */
  f16_gflops: number | null;
}

/** Chains a thread: two fit the registers of a CPU adapter, a GPU may need more of them in flight. */
const CHAINS = [2, 8];

/** Measures the two ceilings. Takes some seconds, and two buffers of 32 MiB (CPU adapters) or 256 MiB. */
export async function measureCeilings(gpu: Gpu, stopwatch: Stopwatch): Promise<Ceilings> {
  const copy_gbps = await copyBandwidth(gpu, stopwatch);
  const f32_gflops = await multiplyAdds(gpu, stopwatch, 'f32');
  const f16_gflops = gpu.f16 ? await multiplyAdds(gpu, stopwatch, 'f16') : null;
  return { copy_gbps, f32_gflops, f16_gflops };
}

async function copyBandwidth(gpu: Gpu, stopwatch: Stopwatch): Promise<number> {
  const wanted = gpu.adapter.isFallback ? 2 ** 25 : 2 ** 28;
  const bytes = Math.min(wanted, gpu.adapter.limits.maxStorageBufferBindingSize);
  const kernel = await compileKernel(gpu, { name: 'copy', code: copyCode });
  const x = createTensor(gpu, [bytes / 4], 'f32', 'copied');
  const y = createTensor(gpu, [bytes / 4], 'f32', 'copy');
  await gpu.memory.check();
  try {
    const groups = Math.ceil(bytes / 16 / 256);
    const rows = Math.ceil(groups / 65535);
    const params = new Uint32Array([bytes / 16]);
    const recorder = new Recorder(gpu, 'copy');
    const byKernel = await stopwatch.time(() => {
      recorder.dispatch(kernel, params, [x, y], [Math.ceil(groups / rows), rows]);
      recorder.submit();
    });
    // No pass, so no timestamps: eight copies a submit, by the clock.
    const byQueue = await stopwatch.time(() => {
      for (let i = 0; i < 8; i++) recorder.copy(x.buffer, 0, y.buffer, 0, bytes);
      recorder.submit();
    });
    return (2 * bytes) / 1e6 / Math.min(byKernel.ms, byQueue.ms / 8);
  } finally {
    x.buffer.destroy();
    y.buffer.destroy();
  }
}

async function multiplyAdds(gpu: Gpu, stopwatch: Stopwatch, type: 'f32' | 'f16'): Promise<number> {
  const groups = gpu.adapter.isFallback ? 64 : 8192;
  const turns = gpu.adapter.isFallback ? 1024 : 4096;
  const y = createTensor(gpu, [4], 'f32', 'multiply-add');
  const params = new DataView(new ArrayBuffer(16));
  params.setUint32(0, turns, true);
  params.setFloat32(4, 0.5, true);
  const recorder = new Recorder(gpu, 'multiply-add');
  let best = 0;
  for (const chains of CHAINS) {
    const kernel = await compileKernel(gpu, {
      name: `multiply-add ${type}`,
      code: expandWgsl(fmaCode, { CHAINS: chains }),
      constants: { T: type },
      f16: type === 'f16',
    });
    const { ms } = await stopwatch.time(() => {
      recorder.dispatch(kernel, params, [y], [groups]);
      recorder.submit();
    });
    best = Math.max(best, (groups * 64 * turns * chains * 4 * 2) / 1e6 / ms);
  }
  y.buffer.destroy();
  return best;
}
