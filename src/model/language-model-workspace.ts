import type { Qwen2Shape } from '../blocks/qwen2-graphs';
import type { Gpu } from '../gpu/device';
import { byteLength, createTensor, type GpuTensor } from '../gpu/tensor';

/** Activations of a forward pass over some rows. q, k, v and attention may be f16, the others are f32. */
export interface Activations {
  /** `[rows, H]`, input and output of a block in turns. */
  hidden: readonly [GpuTensor, GpuTensor];
  /** `[rows, q_heads * head_dim]`. */
  q: GpuTensor;
  /** `[rows, kv_heads * head_dim]`. */
  k: GpuTensor;
  /** `[rows, kv_heads * head_dim]`. */
  v: GpuTensor;
  /** `[rows, q_heads * head_dim]`. */
  attention: GpuTensor;
  /** `[rows, H]`, after the final norm. */
  final_norm: GpuTensor;
}

/**
 * Buffers that all forward passes share. They grow to the longest pass; a pass over fewer rows sees their beginning.
 * The tensors of a number of rows are made once, so that a decode step makes none.
 */
export class Workspace {
  private rows = 0;
  private full: Activations | undefined;
  private logitsOut: GpuTensor | undefined;
  private readonly views = new Map<number, Activations>();

  constructor(
    private readonly gpu: Gpu,
    private readonly shape: Qwen2Shape,
    /** How q, k, v and the attention's output are stored. */
    private readonly dtype: 'f32' | 'f16',
  ) {}

  /** Activations for `rows` rows; contents are left from before. Those of earlier calls may be freed. */
  take(rows: number): Activations {
    if (rows > this.rows) {
      this.dropActivations();
      this.full = this.allocate(rows);
      this.rows = rows;
    }
    let view = this.views.get(rows);
    if (!view) {
      const cut = (tensor: GpuTensor): GpuTensor => ({ ...tensor, shape: [rows, tensor.shape[1]!] });
      const { hidden, q, k, v, attention, final_norm } = this.full!;
      view = {
        hidden: [cut(hidden[0]), cut(hidden[1])],
        q: cut(q),
        k: cut(k),
        v: cut(v),
        attention: cut(attention),
        final_norm: cut(final_norm),
      };
      this.views.set(rows, view);
    }
    return view;
  }

  /** A buffer for logits `[rows, V]`; contents are left from before, and that of an earlier call may be freed. */
  logits(rows: number): GpuTensor {
    const shape = [rows, this.shape.vocab_size];
    if (!this.logitsOut || this.logitsOut.buffer.size < byteLength(shape, 'f32')) {
      this.dropLogits();
      this.logitsOut = createTensor(this.gpu, shape, 'f32', 'logits');
    }
    return { ...this.logitsOut, shape };
  }

  /** Frees the buffer of the logits. */
  dropLogits(): void {
    this.logitsOut?.buffer.destroy();
    this.logitsOut = undefined;
  }

  /** Frees the buffers; the next `take` and `logits` make new ones. */
  destroy(): void {
    this.dropActivations();
    this.dropLogits();
  }

  private dropActivations(): void {
    if (this.full) {
      const { hidden, q, k, v, attention, final_norm } = this.full;
      for (const tensor of [...hidden, q, k, v, attention, final_norm]) tensor.buffer.destroy();
    }
    this.full = undefined;
    this.rows = 0;
    this.views.clear();
  }

  private allocate(rows: number): Activations {
    const { hidden_size, num_attention_heads, num_key_value_heads, head_dim } = this.shape;
    const make = (width: number, label: string, dtype: 'f32' | 'f16' = 'f32') =>
      createTensor(this.gpu, [rows, width], dtype, `language ${label}`);
    const { dtype } = this;
    return {
      hidden: [make(hidden_size, 'hidden'), make(hidden_size, 'hidden')],
      q: make(num_attention_heads * head_dim, 'q', dtype),
      k: make(num_key_value_heads * head_dim, 'k', dtype),
      v: make(num_key_value_heads * head_dim, 'v', dtype),
      attention: make(num_attention_heads * head_dim, 'attention', dtype),
      final_norm: make(hidden_size, 'final norm'),
    };
  }
}
