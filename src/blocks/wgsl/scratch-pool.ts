import type { Gpu } from '../../gpu/device';
import { createTensor } from '../../gpu/tensor';
import type { Scratch } from '../block-graph';

/**
 * Buffers for values inside graphs. Work on the GPU runs in submission order, so all graphs may use the same ones, each
 * for itself: there are as many as the graph with the most needs, each as large as the largest that one of its rank was
 * asked for.
 */
export class ScratchPool implements Scratch {
  /** The largest first. */
  private buffers: GPUBuffer[] = [];
  /** Replaced, but still named by commands that are not submitted. */
  private readonly replaced: GPUBuffer[] = [];
  /** Whether commands that are not submitted may name buffers. */
  private named = false;

  constructor(private readonly gpu: Gpu) {}

  slots(bytes: readonly number[]): readonly GPUBuffer[] {
    const small: GPUBuffer[] = [];
    for (const [i, size] of bytes.entries()) {
      const buffer = this.buffers[i];
      if (buffer && buffer.size >= size) continue;
      if (buffer) small.push(buffer);
    }
    // Before others take their place, so that both are not there at a time.
    if (this.named) this.replaced.push(...small);
    else for (const buffer of small) buffer.destroy();
    for (const [i, size] of bytes.entries()) {
      const buffer = this.buffers[i];
      if (!buffer || buffer.size < size)
        this.buffers[i] = createTensor(this.gpu, [size / 4], 'f32', 'scratch').buffer;
    }
    this.buffers.sort((a, b) => b.size - a.size);
    this.named = true;
    return this.buffers;
  }

  /** To be called after a submit: work that was submitted is not disturbed when its buffers are destroyed. */
  submitted(): void {
    for (const buffer of this.replaced.splice(0)) buffer.destroy();
    this.named = false;
  }

  /** Frees the buffers; commands that name them must be submitted, or forgotten. */
  destroy(): void {
    for (const buffer of [...this.buffers, ...this.replaced]) buffer.destroy();
    this.buffers = [];
    this.replaced.length = 0;
    this.named = false;
  }
}
