import type { Gpu } from '../../gpu/device';
import { byteLength, createTensor, type GpuTensor } from '../../gpu/tensor';
import type { Scratch } from '../block-graph';

/**
 * Buffers for values inside graphs. Work on the GPU runs in submission order, so a buffer may be given out again as
 * soon as its last reader is recorded. Where none is large enough, the largest free one is replaced, so that there are
 * never more buffers than values alive at once.
 */
export class ScratchPool implements Scratch {
  private readonly free: GPUBuffer[] = [];
  /** Replaced, but still named by commands that are not submitted. */
  private readonly replaced: GPUBuffer[] = [];

  constructor(private readonly gpu: Gpu) {}

  take(shape: readonly number[]): GpuTensor {
    const bytes = byteLength(shape, 'f32');
    this.free.sort((a, b) => a.size - b.size);
    const index = this.free.findIndex((buffer) => buffer.size >= bytes);
    if (index >= 0) return { buffer: this.free.splice(index, 1)[0]!, shape, dtype: 'f32' };
    const largest = this.free.pop();
    if (largest) this.replaced.push(largest);
    return createTensor(this.gpu, shape, 'f32', 'scratch');
  }

  release(tensor: GpuTensor): void {
    this.free.push(tensor.buffer);
  }

  /** To be called after a submit: work that was submitted is not disturbed when its buffers are destroyed. */
  submitted(): void {
    for (const buffer of this.replaced.splice(0)) buffer.destroy();
  }

  /** Frees the buffers that are not in use. */
  destroy(): void {
    for (const buffer of [...this.free, ...this.replaced]) buffer.destroy();
    this.free.length = 0;
    this.replaced.length = 0;
  }
}
