import { AttentionPlan } from '../attention/plan';
import type { Gpu } from '../gpu/device';
import type { Recorder } from '../gpu/recorder';
import type { GpuTensor } from '../gpu/tensor';
import type { TensorPool } from '../gpu/tensor-pool';
import type { Step } from '../model/decoder-steps';
import type { LanguageModel } from '../model/language-model';
import type { PolicyBatch } from './policy-batch';

/** Tensors that a step gives to the attention behind it, before the rotary embedding. */
export interface Qkv {
  /** `[rows, q_heads * head_dim]`, rotated in place. */
  q: GpuTensor;
  /** `[rows, kv_heads * head_dim]`. */
  k: GpuTensor;
  v: GpuTensor;
}

/** What attention saw in a layer, and gave. */
export interface SeenAttention {
  /** Rotated, `[rows, q_heads * head_dim]`. */
  q: GpuTensor;
  /** `[T, kv_heads * head_dim]`, rotated. */
  k: GpuTensor;
  v: GpuTensor;
  /** `[rows, q_heads * head_dim]`. */
  o: GpuTensor;
  /** `[rows, q_heads, 4]`. */
  stats: GpuTensor;
}

/** Plans of the rows of a batch: all, and those that predict something. */
export interface PolicyPlans {
  all: AttentionPlan;
  scored: AttentionPlan;
}

/** Attention in the passes of a policy. The last layer's is for the rows that predict something. */
export class PolicyAttention {
  /** Widths of q, and of k and v; query heads; layers. */
  readonly Q: number;
  readonly KV: number;
  private readonly heads: number;
  private readonly layers: number;

  constructor(
    private readonly gpu: Gpu,
    private readonly pool: TensorPool,
    private readonly recorder: Recorder,
    private readonly language: LanguageModel,
    /** hidden -> q, k, v by layer. */
    private readonly steps: readonly Step[],
  ) {
    const text = language.config.text_config;
    this.Q = text.num_attention_heads * text.head_dim;
    this.KV = text.num_key_value_heads * text.head_dim;
    this.heads = text.num_attention_heads;
    this.layers = text.num_hidden_layers;
  }

  /** Values that `keep` holds for a row of a layer. */
  get keptWidth(): number {
    return 2 * (this.Q + this.KV) + 4 * this.heads;
  }

  /** The plans of a batch; `destroy` both. */
  plans({ tree, runs, scored_runs }: PolicyBatch): PolicyPlans {
    return {
      all: AttentionPlan.create(this.gpu, tree, runs),
      scored: AttentionPlan.create(this.gpu, tree, scored_runs),
    };
  }

  /** Places of q, k and v that all layers share. */
  takeQkv(rows: number): Qkv {
    const take = (name: string, width: number) => this.pool.take(name, [rows, width]);
    return { q: take('q', this.Q), k: take('k', this.KV), v: take('v', this.KV) };
  }

  /** What attention sees and gives where it is not kept: places that all layers share. */
  take({ rows, tree }: PolicyBatch, q: GpuTensor): SeenAttention {
    const take = (name: string, count: number, width: number) => this.pool.take(name, [count, width]);
    return {
      q,
      k: take('k cache', tree.capacity, this.KV),
      v: take('v cache', tree.capacity, this.KV),
      o: take('attention', rows, this.Q),
      stats: take('attention stats', rows, 4 * this.heads),
    };
  }

  /** The same in tensors of one layer's own. */
  keep(
    layer: number,
    { rows, scored_rows, tree }: PolicyBatch,
    make: (label: string, rows: number, width: number) => GpuTensor,
  ): SeenAttention {
    const out = layer === this.layers - 1 ? scored_rows : rows;
    return {
      q: make('kept q', rows, this.Q),
      k: make('kept k', tree.capacity, this.KV),
      v: make('kept v', tree.capacity, this.KV),
      o: make('kept attention', out, this.Q),
      stats: make('kept attention stats', out, 4 * this.heads),
    };
  }

  /** Submits rotary embedding and attention of a layer. */
  submit(layer: number, plans: PolicyPlans, qkv: Qkv, seen: SeenAttention): void {
    const { recorder } = this;
    const { rotary, attention } = this.language.kernels;
    rotary.record(recorder, plans.all, { ...qkv, k_cache: seen.k, v_cache: seen.v });
    attention.record(recorder, layer === this.layers - 1 ? plans.scored : plans.all, seen);
    recorder.submit();
  }

  /** What attention saw in a layer, once more: from the layer's input `[rows, H]`. */
  async again(
    layer: number,
    hidden: GpuTensor,
    batch: PolicyBatch,
    plans: PolicyPlans,
  ): Promise<SeenAttention> {
    const qkv = this.takeQkv(batch.rows);
    const { graph, weights } = this.steps[layer]!;
    await graph.run({ ...weights, hidden }, { ...qkv });
    const seen = this.take(batch, qkv.q);
    this.submit(layer, plans, qkv, seen);
    return seen;
  }
}
