import type { Gpu } from '../gpu/device';
import { GpuMemoryError } from '../gpu/errors';

/** Bytes of each of the two buffers: more than the processor's own caches hold. */
const BYTES = { cpu: 2 ** 24, gpu: 2 ** 27 };
const COPIES = 4;
const TRIES = 3;

/**
 * 10^9 bytes a second, read and written, of the queue's own copies: the best of a few submits, well below a second in
 * all. (The bench page measures longer.) Nothing else should run meanwhile. Undefined where there is no room for it.
 */
export async function copySpeed({ adapter, device, memory }: Gpu): Promise<number | undefined> {
  const size = Math.min(adapter.isFallback ? BYTES.cpu : BYTES.gpu, device.limits.maxBufferSize);
  const { peakBytes } = memory;
  const usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const from = device.createBuffer({ label: 'copied', size, usage });
  const to = device.createBuffer({ label: 'copy', size, usage });
  try {
    await memory.check();
    let best = Number.POSITIVE_INFINITY;
    // The first one is not counted: the buffers get their memory with it.
    for (let i = 0; i <= TRIES; i++) {
      const encoder = device.createCommandEncoder({ label: 'copy' });
      for (let copy = 0; copy < COPIES; copy++) encoder.copyBufferToBuffer(from, 0, to, 0, size);
      const begin = performance.now();
      device.queue.submit([encoder.finish()]);
      await device.queue.onSubmittedWorkDone();
      if (i > 0) best = Math.min(best, performance.now() - begin);
    }
    return (2 * size * COPIES) / 1e6 / Math.max(best, 1e-3);
  } catch (cause) {
    if (cause instanceof GpuMemoryError) return undefined;
    throw cause;
  } finally {
    from.destroy();
    to.destroy();
    memory.peakBytes = peakBytes;
  }
}
