import { SegmentTree } from '../attention/segment-tree';
import type { Gpu } from '../gpu/device';
import { createTensor, type GpuTensor } from '../gpu/tensor';

/** What a cache's size depends on. */
export interface KvShape {
  num_hidden_layers: number;
  num_key_value_heads: number;
  head_dim: number;
  /** Element type of keys and values. Default f32. */
  kv_dtype?: 'f32' | 'f16';
}

/** Bytes that one row of a cache takes: keys and values of all layers. */
export function kvRowBytes({ num_hidden_layers, num_key_value_heads, head_dim, kv_dtype }: KvShape): number {
  return 2 * num_hidden_layers * num_key_value_heads * head_dim * (kv_dtype === 'f16' ? 2 : 4);
}

/** Keys (rotated) and values of one layer, `[capacity, kv_heads, head_dim]`. */
export interface KvLayer {
  readonly k: GpuTensor;
  readonly v: GpuTensor;
}

/**
 * Keys and values of every layer over one segment tree. A chat is a chain of segments; a group of sampled answers is
 * one prefix with a child an answer: the prefix is stored once and read by all.
 */
export class KvCache {
  /** Bytes of one row over all layers. */
  readonly rowBytes: number;
  private storage: KvLayer[];
  private rows: number;
  private segments = new SegmentTree();

  /** Allocates `2 * layers * capacity * kv_heads * head_dim` elements. */
  constructor(
    private readonly gpu: Gpu,
    private readonly shape: KvShape,
    capacity: number,
  ) {
    this.rowBytes = kvRowBytes(shape);
    this.rows = capacity;
    this.storage = Array.from({ length: shape.num_hidden_layers }, (_, i) => this.allocate(i, capacity));
  }

  /** Rows that all segments together may reserve. */
  get capacity(): number {
    return this.rows;
  }

  /** Storage of the layers; other buffers after `grow`. */
  get layers(): readonly KvLayer[] {
    return this.storage;
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

  /**
   * Makes room for `rows` rows more than the segments reserve. Rows that are there are copied on the GPU, one layer
   * after the other; nothing is waited for.
   */
  grow(rows: number): void {
    const used = this.segments.capacity;
    const capacity = used + rows;
    if (capacity <= this.rows) return;
    const { device } = this.gpu;
    const bytes = (used * this.rowBytes) / (2 * this.shape.num_hidden_layers);
    this.storage = this.storage.map((old, i) => {
      const next = this.allocate(i, capacity);
      const encoder = device.createCommandEncoder({ label: 'grow the kv cache' });
      encoder.copyBufferToBuffer(old.k.buffer, 0, next.k.buffer, 0, bytes);
      encoder.copyBufferToBuffer(old.v.buffer, 0, next.v.buffer, 0, bytes);
      device.queue.submit([encoder.finish()]);
      old.k.buffer.destroy();
      old.v.buffer.destroy();
      return next;
    });
    this.rows = capacity;
  }

  /** Forgets all segments. */
  clear(): void {
    this.segments = new SegmentTree();
  }

  /** Frees the buffers. */
  destroy(): void {
    for (const { k, v } of this.storage) {
      k.buffer.destroy();
      v.buffer.destroy();
    }
  }

  private allocate(layer: number, capacity: number): KvLayer {
    const { num_key_value_heads, head_dim, kv_dtype: dtype = 'f32' } = this.shape;
    const dims = [capacity, num_key_value_heads, head_dim];
    return {
      k: createTensor(this.gpu, dims, dtype, `k cache ${layer}`, { ranged: true }),
      v: createTensor(this.gpu, dims, dtype, `v cache ${layer}`, { ranged: true }),
    };
  }
}
