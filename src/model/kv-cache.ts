import { SegmentTree } from '../attention/segment-tree';
import type { Gpu } from '../gpu/device';
import { createTensor, type GpuTensor } from '../gpu/tensor';

/** What a cache's size depends on. */
export interface KvShape {
  num_hidden_layers: number;
  num_key_value_heads: number;
  head_dim: number;
}

/** Keys (rotated) and values of one layer, `[capacity, kv_heads, head_dim]` f32. */
export interface KvLayer {
  readonly k: GpuTensor;
  readonly v: GpuTensor;
}

/**
 * Keys and values of every layer over one segment tree. A chat is a chain of segments; a group of sampled answers is
 * one prefix with a child an answer: the prefix is stored once and read by all.
 */
export class KvCache {
  readonly layers: readonly KvLayer[];
  private segments = new SegmentTree();

  /** Allocates `2 * layers * capacity * kv_heads * head_dim` floats. */
  constructor(
    gpu: Gpu,
    shape: KvShape,
    /** Rows that all segments together may reserve. */
    readonly capacity: number,
  ) {
    const { num_hidden_layers, num_key_value_heads, head_dim } = shape;
    const dims = [capacity, num_key_value_heads, head_dim];
    this.layers = Array.from({ length: num_hidden_layers }, (_, i) => ({
      k: createTensor(gpu, dims, 'f32', `k cache ${i}`),
      v: createTensor(gpu, dims, 'f32', `v cache ${i}`),
    }));
  }

  /** The tree as it is. Rows are appended by `LanguageModel.forward`. */
  get tree(): SegmentTree {
    return this.segments;
  }

  /**
   * Reserves a causal segment of `capacity` rows and returns its id. Without a parent it starts at position 0, else
   * behind its parent's rows, which must all be there.
   * @throws Error when the cache has no room.
   */
  addSegment(capacity: number, parent = -1): number {
    const free = this.capacity - this.segments.capacity;
    if (capacity > free) {
      throw new Error(
        `The KV cache has room for ${free} more rows and ${capacity} are asked for: ` +
          'shorten the prompt or the answer, or make a larger cache.',
      );
    }
    return this.segments.add({ parent, capacity, causal: true });
  }

  /** Forgets all segments. */
  clear(): void {
    this.segments = new SegmentTree();
  }

  /** Frees the buffers. */
  destroy(): void {
    for (const { k, v } of this.layers) {
      k.buffer.destroy();
      v.buffer.destroy();
    }
  }
}
