import { AttentionBackward } from '../attention/backward';
import { KeyPlan } from '../attention/key-plan';
import { RotaryBackward } from '../attention/rotary-backward';
import type { NamedTensors } from '../blocks/block-graph';
import { WgslRuntime } from '../blocks/wgsl/wgsl-runtime';
import type { Gpu } from '../gpu/device';
import { Recorder } from '../gpu/recorder';
import { createTensor, type GpuTensor, readF32, uploadTensor } from '../gpu/tensor';
import { TensorPool } from '../gpu/tensor-pool';
import type { LoraAdapter } from '../lora/adapter';
import type { LanguageModel } from '../model/language-model';
import { PolicyAttention, type PolicyPlans, type SeenAttention } from './policy-attention';
import { type BatchIndex, type PolicyBatch, uploadIndex } from './policy-batch';
import { PolicyHead } from './policy-head';
import { type BackwardStep, compilePolicy, type PolicyPass, type PolicySteps } from './policy-steps';
import { BLOCK_ROWS, RowChunks } from './row-chunks';
import { TrainingKernels } from './training-kernels';

/** Options of `PolicyGradient.create`. */
export interface PolicyOptions {
  /**
   * A forward pass keeps what its way back needs where that takes no more bytes; else the layers' inputs, from which
   * the layers are computed again. Default 512 MiB, and no more than the memory budget leaves.
   */
  keep_bytes?: number;
  /** Rows of a block at a time. Default `BLOCK_ROWS`. */
  block_rows?: number;
  /** By which logits are divided before their log-probabilities are taken, as TRL does. Default 1. */
  temperature?: number;
}

/** What a forward pass says of each completion token. */
export interface TokenScores {
  /** Natural-log probability at the temperature, `[N]`. */
  logps: Float32Array<ArrayBuffer>;
  /** Entropy of the distribution that it was drawn from at the temperature, without truncation, nats, `[N]`. */
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
  /** After the final norm, `[scored_rows, H]`. */
  final_norm: GpuTensor;
  /** `[N, 4]`: see `TrainingKernels.logps`. */
  stats: GpuTensor;
  /** By step, empty where the layers are computed again. */
  taps: readonly Record<string, GpuTensor>[];
  /** By layer; empty where the layers are computed again. */
  attention: readonly SeenAttention[];
}

/**
 * The policy's forward and backward pass over answers under shared prompts, whose rows are computed once in both
 * directions. Where memory allows, what the way back needs is kept; else only the inputs of the layers, and a layer is
 * computed again when its turn comes backwards. Of the rows that predict nothing (a prompt's, but for its last) the last
 * layer computes keys and values alone. All of it runs on our own kernels, on the model's own weights; gradients are
 * those of the LoRA's A and B.
 */
export class PolicyGradient {
  /** d loss / d each LoRA tensor, by its name: the sum over the backward passes since `clearGradients`. */
  readonly gradients: ReadonlyMap<string, GpuTensor>;
  private readonly fresh = new Set<string>();
  private readonly recorder: Recorder;
  private readonly pool: TensorPool;
  private readonly head: PolicyHead;
  private readonly attention: PolicyAttention;
  private readonly chunks: RowChunks;

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
    private readonly keep_bytes: number,
    block_rows: number,
    temperature: number,
  ) {
    this.recorder = new Recorder(gpu, 'policy gradient');
    this.pool = new TensorPool(gpu);
    this.chunks = new RowChunks(this.pool, this.recorder, block_rows);
    const { vocab_size } = language.config.text_config;
    const { pool, recorder } = this;
    this.head = new PolicyHead(gpu, pool, recorder, kernels.training, steps, vocab_size, temperature);
    this.attention = new PolicyAttention(gpu, this.pool, this.recorder, language, steps.qkv);
    this.gradients = new Map(
      [...adapter.tensors].map(([name, { shape }]) => [name, createTensor(gpu, shape, 'f32', `d ${name}`)]),
    );
    this.clearGradients();
  }

  /** Compiles the passes for a model and an adapter, both of which must outlive the object. */
  static async create(
    gpu: Gpu,
    language: LanguageModel,
    adapter: LoraAdapter,
    { keep_bytes = 512 * 2 ** 20, block_rows = BLOCK_ROWS, temperature = 1 }: PolicyOptions = {},
  ): Promise<PolicyGradient> {
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
    const kernels = { training, attention, rotary };
    return new PolicyGradient(
      gpu,
      language,
      adapter,
      runtime,
      kernels,
      steps,
      keep_bytes,
      block_rows,
      temperature,
    );
  }

  /**
   * Scores of the answers' tokens under the model without the adapter.
   * @param prompt embeddings of the prompts, one below the other, `[prompt_rows, H]` f32.
   */
  async reference(batch: PolicyBatch, prompt: GpuTensor): Promise<TokenScores> {
    const { logps, entropies, destroy } = await this.pass(batch, prompt, this.steps.reference, false);
    destroy();
    return { logps, entropies };
  }

  /** Scores under the policy, with what `backward` needs. */
  forward(batch: PolicyBatch, prompt: GpuTensor): Promise<PolicyForward> {
    const { kept, recomputed } = this.steps;
    return this.pass(batch, prompt, this.keeps(batch.rows) ? kept : recomputed, true);
  }

  /** Bytes that a forward pass of so many rows holds for its way back, if it keeps all, or the layers' inputs alone. */
  bytesHeld(rows: number, keep: boolean): number {
    const { hidden_size: H, num_hidden_layers: n } = this.language.config.text_config;
    const inputs = (n + 2) * H;
    if (!keep) return 4 * rows * inputs;
    const taps = this.steps.kept.taps.flat().reduce((sum, { width }) => sum + width, 0);
    return 4 * rows * (inputs + taps + n * this.attention.keptWidth);
  }

  /** Whether a forward pass of so many rows keeps what its way back needs. */
  keeps(rows: number): boolean {
    return this.holds(rows, true);
  }

  /** Whether a forward pass of so many rows may hold what `bytesHeld` says. */
  holds(rows: number, keep: boolean): boolean {
    const { budget, bytes } = this.gpu.memory;
    // Half of what is left is for what the way back takes for itself.
    return this.bytesHeld(rows, keep) <= Math.min(this.keep_bytes, (budget - bytes) / 2);
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
    const plans = this.attention.plans(batch);
    const keys = {
      all: KeyPlan.create(gpu, batch.tree, batch.runs),
      scored: KeyPlan.create(gpu, batch.tree, batch.scored_runs),
    };
    try {
      await this.walkBack(forward as Kept, d_logps, plans, keys);
    } catch (cause) {
      recorder.discard();
      throw cause;
    } finally {
      for (const plan of [plans.all, plans.scored, keys.all, keys.scored]) plan.destroy();
    }
  }

  /** Head, then the layers from the last to the lowest with something to train. */
  private async walkBack(
    kept: Kept,
    d_logps: Float32Array<ArrayBuffer>,
    plans: PolicyPlans,
    keys: { all: KeyPlan; scored: KeyPlan },
  ): Promise<void> {
    const { pool, recorder, steps } = this;
    const { batch, hidden } = kept;
    const { rows, scored_rows } = batch;
    const { Q, KV } = this.attention;
    const { hidden_size: H, num_hidden_layers: n } = this.language.config.text_config;
    const d_final_norm = pool.take('d_final_norm', [scored_rows, H]);
    await this.head.backward(kept, d_logps, d_final_norm);
    const take = (name: string, width: number) => pool.take(name, [rows, width]);
    const d_qkv = { d_q: take('d_q', Q), d_k: take('d_k', KV), d_v: take('d_v', KV) };
    const T = batch.tree.capacity;
    const d_cache = { dk: pool.take('dk cache', [T, KV]), dv: pool.take('dv cache', [T, KV]) };
    const d_attention = take('d_attention', Q);
    let [d_hidden, spare] = [take('d_hidden', H), take('d_hidden spare', H)];
    const { backward } = kept.taps.length > 0 ? steps.kept : steps.recomputed;
    for (let step = n; step >= 0; step--) {
      const back = backward[step];
      if (!back) return;
      const taps = kept.taps[step] ?? {};
      if (step === 0) {
        await this.backwardStep(back, { ...taps, hidden: hidden[0]!, ...d_qkv }, {});
        return;
      }
      const last = step === n;
      const count = last ? scored_rows : rows;
      const plan = last ? plans.scored : plans.all;
      const layer = step - 1;
      const seen = kept.attention[layer] ?? (await this.attention.again(layer, hidden[layer]!, batch, plans));
      const inputs = {
        attention: firstRows(seen.o, count),
        residual: firstRows(hidden[layer]!, count),
        hidden: hidden[step]!,
      };
      const given = last ? { d_final_norm } : { d_hidden, ...d_qkv };
      const goesOn = backward[step - 1] !== undefined;
      const outputs = { d_attention: firstRows(d_attention, count), d_residual: firstRows(spare, count) };
      await this.backwardStep(back, { ...taps, ...inputs, ...given }, goesOn ? outputs : {});
      if (!goesOn) return;
      if (last) {
        // Rows of which the last layer took keys and values alone.
        for (const tensor of [spare, d_qkv.d_q]) clearRows(recorder, tensor, count);
      }
      [d_hidden, spare] = [spare, d_hidden];
      this.kernels.attention.record(recorder, plan, last ? keys.scored : keys.all, {
        ...seen,
        d_o: d_attention,
        dq: d_qkv.d_q,
        ...d_cache,
      });
      this.kernels.rotary.record(recorder, plans.all, {
        dq: d_qkv.d_q,
        dk_cache: d_cache.dk,
        dv_cache: d_cache.dv,
        dk: d_qkv.d_k,
        dv: d_qkv.d_v,
      });
      recorder.submit();
    }
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
    { forward, taps }: PolicyPass,
    differentiable: boolean,
  ): Promise<Kept> {
    const { gpu, pool, recorder } = this;
    const { rows, scored_rows } = batch;
    const { hidden_size: H, num_hidden_layers: n } = this.language.config.text_config;
    const keep = differentiable && taps.some((own) => own.length > 0);
    const plans = this.attention.plans(batch);
    const owned: GpuTensor[] = [];
    const make = (label: string, count: number, width: number) => {
      const tensor = createTensor(gpu, [count, width], 'f32', label);
      owned.push(tensor);
      return tensor;
    };
    const rowsOf = (step: number) => (step === n ? scored_rows : rows);
    const take = (name: string, count: number, width: number) =>
      differentiable ? make(name, count, width) : pool.take(name, [count, width]);
    const index = uploadIndex(gpu, batch);
    const destroy = () => {
      for (const { buffer } of [...Object.values(index), ...owned]) buffer.destroy();
    };
    try {
      const hidden = Array.from({ length: n + 1 }, (_, i) =>
        take(differentiable ? `layer input ${i}` : i % 2 === 0 ? 'd_hidden' : 'd_hidden spare', rowsOf(i), H),
      );
      const final_norm = take('d_final_norm', scored_rows, H);
      const stats = make('token scores', batch.tokens.length, 4);
      const kept = {
        taps: keep
          ? taps.map((own, step) =>
              Object.fromEntries(own.map(({ name, width }) => [name, make(name, rowsOf(step), width)])),
            )
          : [],
        attention: keep
          ? Array.from({ length: n }, (_, layer) => this.attention.keep(layer, batch, make))
          : [],
      };
      this.embed(batch, prompt, hidden[0]!);
      const qkv = this.attention.takeQkv(rows);
      const qkvOf = (layer: number) => (keep ? { ...qkv, q: kept.attention[layer]!.q } : qkv);
      for (const [step, { graph, weights }] of forward.entries()) {
        const outputs = { ...kept.taps[step], ...(step < n ? qkvOf(step) : { final_norm }) };
        const run = (inputs: NamedTensors, given: NamedTensors) =>
          this.chunks.each(inputs, given, (some, made) => graph.run({ ...weights, ...some }, made));
        if (step === 0) {
          await run({ hidden: hidden[0]! }, outputs);
          continue;
        }
        const layer = step - 1;
        const seen = kept.attention[layer] ?? this.attention.take(batch, qkv.q);
        this.attention.submit(layer, plans, qkvOf(layer), seen);
        const count = rowsOf(step);
        const inputs = { attention: firstRows(seen.o, count), residual: firstRows(hidden[layer]!, count) };
        await run(inputs, { ...outputs, hidden: hidden[step]! });
      }
      await this.head.forward({ batch, index, final_norm, stats });
      const values = await readF32(gpu, stats);
      const column = (c: number) =>
        Float32Array.from({ length: batch.tokens.length }, (_, i) => values[4 * i + c]!);
      const scores = { logps: column(0), entropies: column(1) };
      return { batch, index, hidden, final_norm, stats, ...kept, ...scores, destroy };
    } catch (cause) {
      recorder.discard();
      destroy();
      throw cause;
    } finally {
      plans.all.destroy();
      plans.scored.destroy();
    }
  }

  /** The prompts' embeddings and those of the answers' tokens, in the batch's order of rows. */
  private embed(batch: PolicyBatch, prompt: GpuTensor, out: GpuTensor): void {
    const { gpu, recorder, language } = this;
    const bytes = out.shape[1]! * 4;
    if (prompt.shape[0] !== batch.prompt_rows)
      throw new Error(
        `The prompts have ${prompt.shape[0]} rows, and the batch was laid out for ${batch.prompt_rows}.`,
      );
    let from = 0;
    let to = batch.scored_rows;
    for (const [place, rows] of batch.prompts.entries()) {
      const rest = rows - 1;
      if (rest > 0) recorder.copy(prompt.buffer, from * bytes, out.buffer, to * bytes, rest * bytes);
      recorder.copy(prompt.buffer, (from + rest) * bytes, out.buffer, place * bytes, bytes);
      from += rows;
      to += rest;
    }
    const count = batch.row_tokens.length;
    if (count > 0) {
      const tokens = uploadTensor(gpu, batch.row_tokens, [count], 'i32', 'row tokens');
      const row_offset = batch.prompts.length;
      language.kernels.embed.record(recorder, { tokens, table: language.embedding, out, count, row_offset });
      recorder.submit();
      tokens.buffer.destroy();
    } else recorder.submit();
  }

  /** Runs a backward graph; the LoRA's gradients go where they belong. */
  private async backwardStep(
    step: BackwardStep,
    activations: Readonly<Record<string, GpuTensor>>,
    outputs: Readonly<Record<string, GpuTensor>>,
  ): Promise<void> {
    const known = Object.fromEntries(
      Object.entries(activations).filter(([name]) => step.graph.inputs.includes(name)),
    );
    await this.chunks.each(known, outputs, async (some, made) => {
      const targets: Record<string, GpuTensor> = {};
      const add: [GpuTensor, GpuTensor][] = [];
      for (const { output, name } of step.gradients) {
        const gradient = this.gradients.get(name)!;
        if (this.fresh.delete(name)) targets[output] = gradient;
        else {
          targets[output] = this.pool.take(output, gradient.shape);
          add.push([targets[output]!, gradient]);
        }
      }
      await step.graph.run({ ...step.weights, ...some }, { ...made, ...targets });
      for (const [from, to] of add) this.kernels.training.accumulate(this.recorder, from, to);
      if (add.length > 0) this.recorder.submit();
    });
  }
}

/** The first rows of a tensor `[rows, width]`. */
function firstRows(tensor: GpuTensor, count: number): GpuTensor {
  return { ...tensor, shape: [count, tensor.shape[1]!] };
}

/** Records zeros for all rows of a tensor from one on. */
function clearRows(recorder: Recorder, { buffer, shape }: GpuTensor, from: number): void {
  const [rows, width] = shape as [number, number];
  recorder.clear(buffer, 4 * from * width, 4 * (rows - from) * width);
}
