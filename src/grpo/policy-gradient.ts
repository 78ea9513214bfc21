import { AttentionBackward } from '../attention/backward';
import { KeyPlan } from '../attention/key-plan';
import { AttentionPlan } from '../attention/plan';
import { RotaryBackward } from '../attention/rotary-backward';
import { WgslRuntime } from '../blocks/wgsl/wgsl-runtime';
import type { Gpu } from '../gpu/device';
import { Recorder } from '../gpu/recorder';
import { createTensor, type GpuTensor, readF32, uploadTensor } from '../gpu/tensor';
import { TensorPool } from '../gpu/tensor-pool';
import type { LoraAdapter } from '../lora/adapter';
import type { DecoderSteps } from '../model/decoder-steps';
import type { LanguageModel } from '../model/language-model';
import { type BatchIndex, type PolicyBatch, uploadIndex } from './policy-batch';
import { type BackwardStep, compilePolicy, type PolicySteps } from './policy-steps';
import { TrainingKernels } from './training-kernels';

/** Logits of the head are made for this many tokens at a time, and never kept. */
const HEAD_ROWS = 128;

/** What a forward pass says of each completion token. */
export interface TokenScores {
  /** Natural-log probability at temperature 1, `[N]`. */
  logps: Float32Array<ArrayBuffer>;
  /** Entropy of the distribution that it was drawn from at temperature 1, nats, `[N]`. */
  entropies: Float32Array<ArrayBuffer>;
}

/** A forward pass that can be differentiated; `destroy` it when that is done, or not wanted. */
export interface PolicyForward extends TokenScores {
  batch: PolicyBatch;
  destroy(): void;
}

interface Kept extends PolicyForward {
  index: BatchIndex;
  /** Inputs of the layers, and the last one's output: `[rows, H]` each, num_hidden_layers + 1 of them. */
  hidden: GpuTensor[];
  /** After the final norm, `[rows, H]`. */
  final_norm: GpuTensor;
  /** `[N, 4]`: see `TrainingKernels.logps`. */
  stats: GpuTensor;
}

/**
 * The policy's forward and backward pass over a group of answers under one shared prompt, whose rows are computed once
 * in both directions. Only the inputs of the layers are kept; a layer is computed again when its turn comes backwards.
 * All of it runs on our own kernels, on the model's own weights; gradients are those of the LoRA's A and B.
 */
export class PolicyGradient {
  /** d loss / d each LoRA tensor, by its name: the sum over the backward passes since `clearGradients`. */
  readonly gradients: ReadonlyMap<string, GpuTensor>;
  private readonly fresh = new Set<string>();
  private readonly recorder: Recorder;
  private readonly pool: TensorPool;

  private constructor(
    private readonly gpu: Gpu,
    private readonly language: LanguageModel,
    adapter: LoraAdapter,
    private readonly runtime: WgslRuntime,
    private readonly kernels: {
      training: TrainingKernels;
      attention: AttentionBackward;
      rotary: RotaryBackward;
    },
    private readonly steps: PolicySteps,
  ) {
    this.recorder = new Recorder(gpu, 'policy gradient');
    this.pool = new TensorPool(gpu);
    this.gradients = new Map(
      [...adapter.tensors].map(([name, { shape }]) => [name, createTensor(gpu, shape, 'f32', `d ${name}`)]),
    );
    this.clearGradients();
  }

  /** Compiles the passes for a model and an adapter, both of which must outlive the object. */
  static async create(gpu: Gpu, language: LanguageModel, adapter: LoraAdapter): Promise<PolicyGradient> {
    const text = language.config.text_config;
    const heads = {
      q_heads: text.num_attention_heads,
      kv_heads: text.num_key_value_heads,
      head_dim: text.head_dim,
    };
    const [training, attention, rotary] = await Promise.all([
      TrainingKernels.create(gpu),
      AttentionBackward.create(gpu, heads),
      RotaryBackward.create(gpu, language.kernels.rotary),
    ]);
    const runtime = WgslRuntime.create(gpu);
    const steps = await compilePolicy(runtime, language, adapter);
    return new PolicyGradient(gpu, language, adapter, runtime, { training, attention, rotary }, steps);
  }

  /**
   * Scores of the answers' tokens under the model without the adapter.
   * @param prompt embeddings of the prompt, `[prompt_rows, H]` f32.
   */
  async reference(batch: PolicyBatch, prompt: GpuTensor): Promise<TokenScores> {
    const { logps, entropies, destroy } = await this.pass(batch, prompt, this.steps.reference, false);
    destroy();
    return { logps, entropies };
  }

  /** Scores under the policy, with what `backward` needs. */
  forward(batch: PolicyBatch, prompt: GpuTensor): Promise<PolicyForward> {
    return this.pass(batch, prompt, this.steps.policy, true);
  }

  /** Forgets the gradients: the next backward pass begins the sum anew. */
  clearGradients(): void {
    this.fresh.clear();
    for (const name of this.gradients.keys()) this.fresh.add(name);
  }

  /**
   * Adds the gradients of a loss to `gradients`. Nothing is read back.
   * @param d_logps d loss / d log-probability of each token, `[N]`.
   */
  async backward(forward: PolicyForward, d_logps: Float32Array<ArrayBuffer>): Promise<void> {
    const { gpu, recorder } = this;
    const { batch } = forward;
    const plan = AttentionPlan.create(gpu, batch.tree, batch.runs);
    const keys = KeyPlan.create(gpu, batch.tree, batch.runs);
    try {
      await this.walkBack(forward as Kept, d_logps, plan, keys);
    } catch (cause) {
      recorder.discard();
      throw cause;
    } finally {
      plan.destroy();
      keys.destroy();
    }
  }

  /** Head, then the layers from the last to the first. */
  private async walkBack(
    { batch, index, hidden, final_norm, stats }: Kept,
    d_logps: Float32Array<ArrayBuffer>,
    plan: AttentionPlan,
    keys: KeyPlan,
  ): Promise<void> {
    const { pool, recorder, steps, language } = this;
    const { rows } = batch;
    const text = language.config.text_config;
    const { hidden_size: H, num_hidden_layers: n, num_attention_heads, num_key_value_heads, head_dim } = text;
    const [Q, KV] = [num_attention_heads * head_dim, num_key_value_heads * head_dim];
    const T = batch.tree.capacity;
    const d_final_norm = pool.take('d_final_norm', [rows, H]);
    await this.headBackward(batch, index, final_norm, stats, d_logps, d_final_norm);
    const take = (name: string, width: number) => pool.take(name, [rows, width]);
    const qkv = { q: take('q', Q), k: take('k', KV), v: take('v', KV) };
    const d_qkv = { d_q: take('d_q', Q), d_k: take('d_k', KV), d_v: take('d_v', KV) };
    const cache = { k_cache: pool.take('k cache', [T, KV]), v_cache: pool.take('v cache', [T, KV]) };
    const d_cache = { dk: pool.take('dk cache', [T, KV]), dv: pool.take('dv cache', [T, KV]) };
    const attention = take('attention', Q);
    const d_attention = take('d_attention', Q);
    const attentionStats = pool.take('attention stats', [rows, num_attention_heads, 4]);
    let [d_hidden, spare] = [take('d_hidden', H), take('d_hidden spare', H)];
    for (let i = n - 1; i >= 0; i--) {
      // What attention saw, once more: from the layer's input.
      await steps.qkv[i]!.graph.run({ ...steps.qkv[i]!.weights, hidden: hidden[i]! }, qkv);
      language.kernels.rotary.record(recorder, plan, { ...qkv, ...cache });
      const seen = { q: qkv.q, k: cache.k_cache, v: cache.v_cache, o: attention, stats: attentionStats };
      language.kernels.attention.record(recorder, plan, seen);
      recorder.submit();
      const inputs = { attention, residual: hidden[i]!, hidden: hidden[i + 1]! };
      const given = i === n - 1 ? { d_final_norm } : { d_hidden, ...d_qkv };
      await this.backwardStep(
        steps.backward[i]!,
        { ...inputs, ...given },
        { d_attention, d_residual: spare },
      );
      [d_hidden, spare] = [spare, d_hidden];
      this.kernels.attention.record(recorder, plan, keys, {
        ...seen,
        d_o: d_attention,
        dq: d_qkv.d_q,
        ...d_cache,
      });
      this.kernels.rotary.record(recorder, plan, {
        dq: d_qkv.d_q,
        dk_cache: d_cache.dk,
        dv_cache: d_cache.dv,
        dk: d_qkv.d_k,
        dv: d_qkv.d_v,
      });
      recorder.submit();
    }
    if (steps.first) await this.backwardStep(steps.first, { hidden: hidden[0]!, ...d_qkv }, {});
  }

  /** Frees all buffers; model and adapter stay with their owners. */
  destroy(): void {
    for (const { buffer } of this.gradients.values()) buffer.destroy();
    this.pool.destroy();
    this.runtime.destroy();
  }

  private async pass(
    batch: PolicyBatch,
    prompt: GpuTensor,
    steps: DecoderSteps,
    keep: boolean,
  ): Promise<Kept> {
    const { gpu, pool, recorder, language } = this;
    const { rows } = batch;
    const text = language.config.text_config;
    const { hidden_size: H, num_hidden_layers: n, num_attention_heads, num_key_value_heads, head_dim } = text;
    const [Q, KV] = [num_attention_heads * head_dim, num_key_value_heads * head_dim];
    const plan = AttentionPlan.create(gpu, batch.tree, batch.runs);
    const take = (name: string, width: number) => pool.take(name, [rows, width]);
    const hidden = keep
      ? Array.from({ length: n + 1 }, (_, i) => createTensor(gpu, [rows, H], 'f32', `layer input ${i}`))
      : Array.from({ length: n + 1 }, (_, i) => take(i % 2 === 0 ? 'd_hidden' : 'd_hidden spare', H));
    const final_norm = keep ? createTensor(gpu, [rows, H], 'f32', 'final norm') : take('d_final_norm', H);
    const index = uploadIndex(gpu, batch);
    const stats = createTensor(gpu, [batch.tokens.length, 4], 'f32', 'token scores');
    const destroy = () => {
      for (const { buffer } of [...Object.values(index), stats]) buffer.destroy();
      if (keep) for (const { buffer } of [...hidden, final_norm]) buffer.destroy();
    };
    try {
      this.embed(batch, prompt, hidden[0]!);
      const qkv = { q: take('q', Q), k: take('k', KV), v: take('v', KV) };
      const T = batch.tree.capacity;
      const cache = { k_cache: pool.take('k cache', [T, KV]), v_cache: pool.take('v cache', [T, KV]) };
      const attention = take('attention', Q);
      await steps.first.graph.run({ ...steps.first.weights, hidden: hidden[0]! }, qkv);
      for (const [i, { graph, weights }] of steps.layers.entries()) {
        language.kernels.rotary.record(recorder, plan, { ...qkv, ...cache });
        const seen = { q: qkv.q, k: cache.k_cache, v: cache.v_cache, o: attention };
        language.kernels.attention.record(recorder, plan, seen);
        recorder.submit();
        const outputs = { hidden: hidden[i + 1]!, ...(i === n - 1 ? { final_norm } : qkv) };
        await graph.run({ ...weights, attention, residual: hidden[i]! }, outputs);
      }
      await this.chunks(batch, index, final_norm, async (first, _x, logits) => {
        this.kernels.training.logps(recorder, logits, index.tokens, first, stats);
        recorder.submit();
      });
      const values = await readF32(gpu, stats);
      const column = (c: number) =>
        Float32Array.from({ length: batch.tokens.length }, (_, i) => values[4 * i + c]!);
      return { batch, index, hidden, final_norm, stats, logps: column(0), entropies: column(1), destroy };
    } catch (cause) {
      recorder.discard();
      destroy();
      throw cause;
    } finally {
      plan.destroy();
    }
  }

  /** The prompt's embeddings and those of the answers' tokens, one below the other. */
  private embed(batch: PolicyBatch, prompt: GpuTensor, out: GpuTensor): void {
    const { gpu, recorder, language } = this;
    const H = out.shape[1]!;
    if (prompt.shape[0] !== batch.prompt_rows)
      throw new Error(
        `The prompt has ${prompt.shape[0]} rows, and the batch was laid out for ${batch.prompt_rows}.`,
      );
    recorder.copy(prompt.buffer, 0, out.buffer, 0, batch.prompt_rows * H * 4);
    const count = batch.row_tokens.length;
    if (count > 0) {
      const tokens = uploadTensor(gpu, batch.row_tokens, [count], 'i32', 'row tokens');
      const row_offset = batch.prompt_rows;
      language.kernels.embed.record(recorder, { tokens, table: language.embedding, out, count, row_offset });
      recorder.submit();
      tokens.buffer.destroy();
    } else recorder.submit();
  }

  /** Calls back with the head's logits, a part of the tokens at a time. */
  private async chunks(
    batch: PolicyBatch,
    index: BatchIndex,
    final_norm: GpuTensor,
    each: (first: number, x: GpuTensor, logits: GpuTensor) => Promise<void>,
  ): Promise<void> {
    const { pool, recorder, steps } = this;
    const { hidden_size: H, vocab_size: V } = this.language.config.text_config;
    const N = batch.tokens.length;
    for (let first = 0; first < N; first += HEAD_ROWS) {
      const count = Math.min(HEAD_ROWS, N - first);
      const x = pool.take('head rows', [count, H]);
      const logits = pool.take('head logits', [count, V]);
      this.kernels.training.gather(recorder, index.predictors, first, final_norm, x);
      recorder.submit();
      await steps.head.graph.run({ ...steps.head.weights, final_norm: x }, { logits });
      await each(first, x, logits);
    }
  }

  private async headBackward(
    batch: PolicyBatch,
    index: BatchIndex,
    final_norm: GpuTensor,
    stats: GpuTensor,
    d_logps: Float32Array<ArrayBuffer>,
    d_final_norm: GpuTensor,
  ): Promise<void> {
    const { gpu, pool, recorder, steps } = this;
    const { graph, weights } = steps.headBackward;
    const H = d_final_norm.shape[1]!;
    const N = batch.tokens.length;
    const gradients = uploadTensor(gpu, d_logps, [N], 'f32', 'd logps');
    const d_rows = pool.take('d head rows', [N, H]);
    await this.chunks(batch, index, final_norm, async (first, x, logits) => {
      this.kernels.training.logitsGrad(recorder, logits, { tokens: index.tokens, first, stats, gradients });
      recorder.submit();
      // The rows themselves are not needed any more: their place takes the gradient.
      await graph.run({ ...weights, d_logits: logits }, { d_final_norm: x });
      recorder.copy(x.buffer, 0, d_rows.buffer, first * H * 4, x.shape[0]! * H * 4);
      recorder.submit();
    });
    this.kernels.training.scatter(recorder, index.starts, index.sources, d_rows, d_final_norm);
    recorder.submit();
    gradients.buffer.destroy();
  }

  /** Runs a backward graph; the LoRA's gradients go where they belong. */
  private async backwardStep(
    step: BackwardStep,
    activations: Readonly<Record<string, GpuTensor>>,
    outputs: Readonly<Record<string, GpuTensor>>,
  ): Promise<void> {
    const { pool, recorder } = this;
    const targets: Record<string, GpuTensor> = {};
    const add: [GpuTensor, GpuTensor][] = [];
    for (const { output, name } of step.gradients) {
      const gradient = this.gradients.get(name)!;
      if (this.fresh.delete(name)) targets[output] = gradient;
      else {
        targets[output] = pool.take(output, gradient.shape);
        add.push([targets[output]!, gradient]);
      }
    }
    const known = Object.fromEntries(
      Object.entries(activations).filter(([name]) => step.graph.inputs.includes(name)),
    );
    await step.graph.run({ ...step.weights, ...known }, { ...outputs, ...targets });
    for (const [from, to] of add) this.kernels.training.accumulate(recorder, from, to);
    if (add.length > 0) recorder.submit();
  }
}
