import { Attention } from '../attention/attention';
import { AttentionPlan } from '../attention/plan';
import { RotaryAppend } from '../attention/rotary';
import { CopyRows, EmbedTokens } from '../attention/rows';
import type { QueryRun, SegmentTree } from '../attention/segment-tree';
import { type AttentionTypes, F32_TYPES } from '../attention/variants';
import { type BlockRuntime, RECORDED_ROWS } from '../blocks/block-graph';
import { MANY_ROWS } from '../blocks/block-runtimes';
import type { WeightSource } from '../blocks/block-weights';
import { qwen2Head } from '../blocks/qwen2-graphs';
import type { Gpu } from '../gpu/device';
import { GpuMemoryError } from '../gpu/errors';
import { Recorder } from '../gpu/recorder';
import { createTensor, type GpuTensor, sizeOf, uploadTensor } from '../gpu/tensor';
import type { TinyLlavaConfig } from './config';
import { compileDecoder, type DecoderLora, type DecoderSteps, type Step } from './decoder-steps';
import { KvCache, type KvShape } from './kv-cache';
import {
  type AppendedRows,
  type EmbeddedPrompts,
  type ForwardInput,
  type LanguagePrompt,
  mergePrompt,
  rowsBefore,
  rowsOf,
} from './language-model-inputs';
import { Workspace } from './language-model-workspace';
import { onceEach } from './once-each';
import type { PassPrecision } from './precision';
import { RecordedSteps, type StepOutput } from './recorded-steps';
import { LANGUAGE_PREFIX, lmHeadName } from './tensor-names';

/** Options of `LanguageModel.create`. Storage is f32 where nothing is said. */
export interface LanguageOptions extends Partial<PassPrecision> {
  /** Longest sequence; costs 4 * head_dim bytes a position. Default: the config's, at most 8192. */
  max_positions?: number;
}

/** Kernels between the steps of a decoder. */
interface CacheKernels {
  attention: Attention;
  rotary: RotaryAppend;
}

/**
 * Qwen2 over segment trees. One forward pass adds rows to any segments of a cache: a prompt is many rows of one
 * segment, a decode step one row of each answer's segment. Passes must not overlap: await one before the next.
 */
export class LanguageModel {
  private readonly recorder: Recorder;
  private readonly workspace: Workspace;
  private readonly recorded: RecordedSteps;
  private plan: AttentionPlan | undefined;
  private busy = false;

  private constructor(
    private readonly gpu: Gpu,
    readonly runtime: BlockRuntime,
    readonly config: TinyLlavaConfig,
    readonly weights: WeightSource,
    /** With all rows, keys and values in f32, as in training. */
    readonly kernels: CacheKernels & { embed: EmbedTokens; copy: CopyRows },
    /** With those of this model's passes and caches; the same objects where these are in f32. */
    private readonly cached: CacheKernels,
    readonly embedding: GpuTensor,
    /** The decoder without an adapter. */
    readonly base: DecoderSteps,
    readonly head: Step,
  ) {
    this.recorder = new Recorder(gpu, 'language model');
    this.workspace = new Workspace(gpu, config.text_config, cached.attention.types.rows);
    const step = { embed: kernels.embed, ...cached };
    this.recorded = new RecordedSteps(gpu, this.recorder, step, embedding);
  }

  /** Compiles graphs and kernels. `weights` must hold the language model's tensors (see `expectedTensors`). */
  static async create(
    gpu: Gpu,
    runtime: BlockRuntime,
    config: TinyLlavaConfig,
    weights: WeightSource,
    options: LanguageOptions = {},
  ): Promise<LanguageModel> {
    const text = config.text_config;
    const { kv_dtype = 'f32', activation_dtype = 'f32' } = options;
    const steps = await compileDecoder(runtime, text, weights, undefined, activation_dtype);
    const embedding = weights.get(`${LANGUAGE_PREFIX}model.embed_tokens.weight`);
    const headWeight = weights.get(lmHeadName(config));
    const head = await runtime.compile(qwen2Head(text, headWeight.dtype));
    const heads = {
      q_heads: text.num_attention_heads,
      kv_heads: text.num_key_value_heads,
      head_dim: text.head_dim,
    };
    const max_positions = options.max_positions ?? Math.min(text.max_position_embeddings, 8192);
    const compile = async (types: AttentionTypes): Promise<CacheKernels> => {
      const [attention, rotary] = await Promise.all([
        Attention.create(gpu, heads, undefined, { types }),
        RotaryAppend.create(gpu, heads, { theta: text.rope_theta, max_positions, types }),
      ]);
      return { attention, rotary };
    };
    const half = [kv_dtype, activation_dtype].includes('f16');
    const [kernels, cached = kernels, embed, copy] = await Promise.all([
      compile(F32_TYPES),
      half ? compile({ rows: activation_dtype, cache: kv_dtype }) : undefined,
      EmbedTokens.create(gpu, embedding.dtype),
      CopyRows.create(gpu),
    ]);
    return new LanguageModel(
      gpu,
      runtime,
      config,
      weights,
      { ...kernels, embed, copy },
      cached,
      embedding,
      steps,
      { graph: head, weights: { 'head.weight': headWeight } },
    );
  }

  /** The decoder with a LoRA over the same weights, for `forward`. `source` has the LoRA's weights by name. */
  adapt(lora: DecoderLora, source: WeightSource): Promise<DecoderSteps> {
    const weights: WeightSource = {
      get: (name) => (name.includes('.lora_') ? source.get(name) : this.weights.get(name)),
    };
    return compileDecoder(this.runtime, this.config.text_config, weights, lora, this.activation_dtype);
  }

  /** How the passes of answering store what flows between kernels (see `PassPrecision`). */
  get activation_dtype(): 'f32' | 'f16' {
    return this.cached.attention.types.rows;
  }

  /** Longest sequence of prompt and answer, in rows. */
  get max_positions(): number {
    return this.kernels.rotary.max_positions;
  }

  /** A KV cache for `capacity` rows of this model. Its owner destroys it. */
  createCache(capacity: number): KvCache {
    return new KvCache(this.gpu, this.kvShape, capacity);
  }

  /** What the size of this model's caches depends on. */
  get kvShape(): KvShape {
    const { num_hidden_layers, num_key_value_heads, head_dim } = this.config.text_config;
    return { num_hidden_layers, num_key_value_heads, head_dim, kv_dtype: this.cached.attention.types.cache };
  }

  /**
   * Embeds a prompt: prompt_ids with the image placeholder, `visual` `[N, H]` f32 in its place -> `[rows, H]` f32,
   * cut at the model's longest sequence. Without a placeholder `visual` is not used. The caller destroys the result.
   * @throws Error when the prompt is empty, names a video that is not given, or names it twice.
   */
  embedPrompt(prompt_ids: Int32Array, visual?: GpuTensor): GpuTensor {
    return this.embedPrompts([{ prompt_ids, visual }]).embeds;
  }

  /** Rows of a prompt, as `embedPrompt` gives them. */
  promptRows({ prompt_ids, visual }: LanguagePrompt): number {
    return mergePrompt(prompt_ids, visual?.shape[0] ?? 0, this.config).ids.length;
  }

  /** `embedPrompt` of several prompts, in one tensor. */
  embedPrompts(prompts: readonly LanguagePrompt[]): EmbeddedPrompts {
    const { hidden_size, vocab_size } = this.config.text_config;
    const merged = prompts.map(({ prompt_ids, visual }) => {
      const one = mergePrompt(prompt_ids, visual?.shape[0] ?? 0, this.config);
      if (one.visual_row >= 0 && !visual) throw new Error('The prompt names a video, and none is open.');
      const beyond = one.ids.find((id) => id >= vocab_size);
      if (beyond !== undefined)
        throw new Error(
          `The prompt has the token ${beyond}, and the model's vocabulary ends at ${vocab_size}.`,
        );
      return one;
    });
    const rows = merged.map(({ ids }) => ids.length);
    const ids = Int32Array.from(merged.flatMap((one) => [...one.ids]));
    const embeds = createTensor(this.gpu, [ids.length, hidden_size], 'f32', 'prompt embeddings');
    const tokens = uploadTensor(this.gpu, ids, [ids.length], 'i32', 'prompt ids');
    this.kernels.embed.record(this.recorder, { tokens, table: this.embedding, out: embeds });
    let first = 0;
    for (const [i, { visual_row, visual_count }] of merged.entries()) {
      const { visual } = prompts[i]!;
      if (visual && visual_count > 0) {
        this.kernels.copy.put(this.recorder, {
          x: visual,
          out: embeds,
          count: visual_count,
          to_row: first + visual_row,
        });
      }
      first += rows[i]!;
    }
    this.recorder.submit();
    tokens.buffer.destroy();
    return { embeds, rows };
  }

  /**
   * Appends rows to the cache's segments and computes them -> hidden states after the final norm, `[rows, H]` f32.
   * The result is a buffer of this object and holds until the next pass. Nothing is read back or waited for.
   * @throws Error when rows do not fit their segment or the position table, or when a pass is still being issued;
   * GpuMemoryError when something allocated for it, the cache and the embeddings included, found no room.
   */
  async forward(input: ForwardInput): Promise<GpuTensor> {
    return (await this.exclusively(input)).hidden;
  }

  /**
   * `forward`, and `logits` of all its rows. Where the step can be issued from a recording, both are added to `recorder`,
   * for whoever gave it to submit with what follows, before the next pass. One like the step before is issued at once:
   * a promise would let the browser send what is written so far, and the GPU's process would wake up for it.
   * @throws as `forward`; then `recorder` has to be discarded.
   */
  step(input: ForwardInput, recorder: Recorder): GpuTensor | Promise<GpuTensor> {
    const rows = rowsOf(input);
    const output = { recorder, head: this.head, logits: this.workspace.logits(rows) };
    return this.repeat(input, rows, output) ? output.logits : this.stepAnew(input, output);
  }

  /** Issues a step that is like the last one; false, with nothing done, where it is not. */
  private repeat(input: ForwardInput, rows: number, output: StepOutput): boolean {
    const { cache, append, tokens, steps = this.base } = input;
    if (this.busy || !tokens || this.gpu.memory.inDoubt || !this.recorded.mayRepeat(rows)) return false;
    const takeBack = rowsBefore(input);
    let issued = false;
    try {
      const plan = this.planFor(cache.tree, append, rows);
      const work = this.workspace.take(rows);
      issued = this.recorded.repeat({ rows, tokens, steps, plan, layers: cache.layers, work }, output);
      return issued;
    } finally {
      if (!issued) takeBack();
    }
  }

  private async stepAnew(input: ForwardInput, output: StepOutput): Promise<GpuTensor> {
    const { hidden, whole } = await this.exclusively(input, output);
    return whole ? output.logits : this.logits(hidden);
  }

  /** A pass, while there is no other; one that fails leaves the tree as it was. */
  private async exclusively(
    input: ForwardInput,
    more?: StepOutput,
  ): Promise<{ hidden: GpuTensor; whole: boolean }> {
    if (this.busy) throw new Error('Two forward passes overlap: await the first before the second.');
    this.busy = true;
    const takeBack = rowsBefore(input);
    try {
      return await this.pass(input, more);
    } catch (cause) {
      this.recorder.discard();
      if (cause instanceof GpuMemoryError) this.dropWorkspace();
      takeBack();
      throw cause;
    } finally {
      this.busy = false;
    }
  }

  /**
   * Logits `[B, V]` f32 of rows of `forward`'s result: all of them, or those named (a row may be named twice).
   * The result is a buffer of this object and holds until the next call.
   * @throws Error for a row that the pass did not have; GpuMemoryError where there is no room.
   */
  async logits(hidden: GpuTensor, rows?: readonly number[]): Promise<GpuTensor> {
    const { hidden_size } = this.config.text_config;
    const given = hidden.shape[0]!;
    const beyond = rows?.find((row) => row < 0 || row >= given);
    if (beyond !== undefined)
      throw new Error(`Logits of row ${beyond} were asked for; the pass had ${given} rows.`);
    const B = rows?.length ?? given;
    const logits = this.workspace.logits(B);
    const chosen = rows ? createTensor(this.gpu, [B, hidden_size], 'f32', 'chosen rows') : hidden;
    try {
      if (this.gpu.memory.inDoubt) await this.gpu.memory.check();
      if (rows) {
        const bytes = hidden_size * 4;
        for (const [i, row] of rows.entries())
          this.recorder.copy(hidden.buffer, row * bytes, chosen.buffer, i * bytes, bytes);
        this.recorder.submit();
      }
      await this.head.graph.run({ ...this.head.weights, final_norm: chosen }, { logits });
      return logits;
    } catch (cause) {
      this.workspace.dropLogits();
      throw cause;
    } finally {
      if (rows) chosen.buffer.destroy();
    }
  }

  /** Compiles every pipeline: a prompt of enough rows for the backend of prompts, then a decode step, of each graph. */
  async warmUp(): Promise<void> {
    const rows = MANY_ROWS;
    const cache = this.createCache(rows + 1);
    const tokens = createTensor(this.gpu, [rows], 'i32', 'warm-up tokens');
    try {
      const segment = cache.addSegment(rows + 1);
      const steps = { ...this.base, layers: onceEach(this.base.layers) };
      const prompt = await this.forward({ cache, append: [{ segment, count: rows }], tokens, steps });
      await this.logits(prompt, [rows - 1]);
      const step = await this.forward({ cache, append: [{ segment, count: 1 }], tokens, steps });
      await this.logits(step);
      await this.gpu.device.queue.onSubmittedWorkDone();
    } finally {
      tokens.buffer.destroy();
      cache.destroy();
    }
  }

  /** Frees graphs and buffers. Weights and caches stay with their owners. */
  async destroy(): Promise<void> {
    const steps = [this.base.first, ...this.base.layers, this.head];
    for (const graph of new Set(steps.map((step) => step.graph))) await graph.destroy();
    this.dropWorkspace();
    const { kernels, cached } = this;
    for (const kernel of new Set([kernels.rotary, kernels.attention, cached.rotary, cached.attention]))
      kernel.destroy();
  }

  /** Frees the buffers that grow with the passes; the next pass makes new ones. */
  private dropWorkspace(): void {
    this.recorded.destroy();
    this.workspace.destroy();
    this.plan?.destroy();
    this.plan = undefined;
  }

  /** `whole`: what was asked for beyond the pass was issued with it. */
  private async pass(input: ForwardInput, more?: StepOutput): Promise<{ hidden: GpuTensor; whole: boolean }> {
    const { cache, append, embeds, tokens, tap } = input;
    const { steps = this.base } = input;
    const { first, layers } = steps;
    const rows = rowsOf(input);
    const { hidden_size } = this.config.text_config;
    if (embeds && sizeOf(embeds.shape) !== rows * hidden_size) {
      throw new Error(
        `Embeddings [${embeds.shape.join(', ')}] were given for ${rows} rows of ${hidden_size}.`,
      );
    }
    const plan = this.planFor(cache.tree, append, rows);
    const work = this.workspace.take(rows);
    if (this.gpu.memory.inDoubt) await this.gpu.memory.check();
    const { q, k, v, attention, final_norm } = work;
    if (tokens && !embeds && !tap && rows <= RECORDED_ROWS) {
      const step = { rows, tokens, steps, plan, layers: cache.layers, work };
      const whole = more?.head.graph.capture?.(rows) && more;
      if (await this.recorded.issue(step, whole)) return { hidden: final_norm, whole: whole !== undefined };
    }
    let [hidden, spare] = work.hidden;
    if (embeds) hidden = embeds;
    else if (tokens) {
      const table = this.embedding;
      this.kernels.embed.record(this.recorder, { tokens, table, out: hidden, count: rows });
      this.recorder.submit();
    } else throw new Error('A forward pass needs embeddings or tokens.');
    await tap?.('lm.hidden.0', hidden);
    await first.graph.run({ ...first.weights, hidden }, { q, k, v });
    for (const [i, { graph, weights }] of layers.entries()) {
      const { k: k_cache, v: v_cache } = cache.layers[i]!;
      this.cached.rotary.record(this.recorder, plan, { q, k, v, k_cache, v_cache });
      this.cached.attention.record(this.recorder, plan, { q, k: k_cache, v: v_cache, o: attention });
      this.recorder.submit();
      const last = i === layers.length - 1;
      const inputs = { ...weights, attention, residual: hidden };
      await graph.run(inputs, last ? { hidden: spare, final_norm } : { hidden: spare, q, k, v });
      // The caller's embeddings are never written to.
      [hidden, spare] = [spare, hidden === embeds ? work.hidden[0] : hidden];
      await tap?.(`lm.hidden.${i + 1}`, hidden);
    }
    await tap?.('lm.hidden.final_norm', final_norm);
    return { hidden: final_norm, whole: false };
  }

  private planFor(tree: SegmentTree, append: readonly AppendedRows[], rows: number): AttentionPlan {
    const runs: QueryRun[] = [];
    let row = 0;
    for (const { segment, count } of append) {
      const offset = tree.segments[segment]?.length ?? 0;
      tree.append(segment, count);
      runs.push({ row, count, segment, offset });
      row += count;
    }
    if (!this.plan || this.plan.max_rows < rows) {
      this.plan?.destroy();
      this.plan = new AttentionPlan(this.gpu, { max_rows: rows });
    }
    this.plan.update(tree, runs);
    return this.plan;
  }
}
