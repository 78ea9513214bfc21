import type { Gpu } from '../gpu/device';
import { GpuMemoryError } from '../gpu/errors';
import { Recorder } from '../gpu/recorder';
import { type GpuTensor, uploadTensor } from '../gpu/tensor';
import type { DecoderSteps } from '../model/decoder-steps';
import { kvRowBytes } from '../model/kv-cache';
import type { TinyLlava } from '../model/tiny-llava';
import { AnswerLoop } from './answer-loop';
import { AnswerTree, type Branch } from './answer-tree';
import { checkRequest, fittingRows, outOfMemory } from './check-request';
import { computePrompts } from './compute-prompts';
import type { GenerationError } from './errors';
import { checkSettings, type SampleRecord, Sampler } from './sampler';
import type { DrawSettings } from './settings';

const MAX_KEPT_BYTES = 512 * 2 ** 20;

/** What to continue, and how. */
export interface GenerateRequest {
  /** Prompt ids, -200 in the place of the video. */
  prompt_ids: Int32Array;
  /** Visual tokens `[num_queries, H]` f32. */
  visual?: GpuTensor;
  settings: DrawSettings;
  /** Most tokens of an answer, those of `forced` not counted. */
  max_new_tokens: number;
  /** How many answers are written side by side. Default 1. */
  num_generations?: number;
  /** Tokens that every answer begins with. They are not drawn and not yielded. Default none. */
  forced?: readonly number[];
  /** The decoder that writes, with an adapter (`LanguageModel.adapt`). Default: the model's own. */
  steps?: DecoderSteps;
  /** Which question of a run this is: answers to different ones draw different random numbers. Default 0. */
  question?: number;
  /** Number of the first answer in its group, for the random numbers. Default 0. */
  first_sample?: number;
  /** Ends all answers, also between the parts of a long prompt. */
  signal?: AbortSignal;
  /** Told when the GPU has finished this many rows of the `total` that come before the first draw. */
  onPrefill?: (rows: number, total: number) => void;
}

/** A token of one answer of the group. */
export interface GroupToken {
  /** 0 to num_generations - 1. */
  sample: number;
  record: SampleRecord;
}

/** Options of `Generator.create`. */
export interface GeneratorOptions {
  /** Keys and values of more bytes are not kept for forks. Default 512 MiB. */
  max_kept_bytes?: number;
}

/** What the last request holds on the GPU. */
export interface GenerationUse {
  /** Rows of the prompt, stored once. */
  promptRows: number;
  /** Bytes of the keys and values in use: the prompt's once, and those of each answer. */
  kvBytes: number;
}

/**
 * Continues prompts, each with a group of answers side by side: a prompt is computed once, and each step takes one row
 * of every answer that has not ended (see `AnswerLoop`).
 *
 * A draw depends on the logits and on (seed, question, sample, position) alone. The same request on the same adapter
 * gives the same answers, whenever each of them ends. Answers are not promised to be the same in groups of different
 * sizes: logits may differ in their last bits with the number of rows of a step.
 *
 * The keys and values of the last request are kept: a request that begins with tokens of one of its answers (a fork)
 * goes on from there. Where they are gone, the tokens are computed again, with logits that agree up to rounding.
 */
export class Generator {
  private readonly recorder: Recorder;
  private readonly loop: AnswerLoop;
  private tree: AnswerTree | undefined;
  private last: GenerationUse = { promptRows: 0, kvBytes: 0 };

  private constructor(
    private readonly gpu: Gpu,
    private readonly model: TinyLlava,
    sampler: Sampler,
    private readonly max_kept_bytes: number,
  ) {
    this.recorder = new Recorder(gpu, 'generate');
    this.loop = new AnswerLoop(gpu, model, sampler, this.recorder);
  }

  /** Compiles the sampling kernels for a model. */
  static async create(gpu: Gpu, model: TinyLlava, options: GeneratorOptions = {}): Promise<Generator> {
    const { vocab_size } = model.config.text_config;
    const sampler = await Sampler.create(gpu, { vocab_size });
    return new Generator(gpu, model, sampler, options.max_kept_bytes ?? MAX_KEPT_BYTES);
  }

  /** What the last request used, once it has ended. */
  get use(): GenerationUse {
    return this.last;
  }

  /** Frees what is kept for forks: for other work's memory, or because the model's weights have changed. */
  forget(): void {
    this.tree?.destroy();
    this.tree = undefined;
  }

  /**
   * Yields the tokens of each step as they are read back, the end-of-text tokens included: one of every answer that
   * has not ended. Ends when all have, after `max_new_tokens`, or when `signal` says so or the caller stops iterating.
   * @throws GenerationError where the request cannot be served; Error for settings that make no sense.
   */
  async *generate(request: GenerateRequest): AsyncGenerator<GroupToken[], void> {
    const { settings, question = 0, num_generations = 1, first_sample = 0, forced = [] } = request;
    checkSettings(settings);
    let branches: Branch[] = [];
    try {
      const begun = await this.begin(request);
      if (!begun) return;
      const { tree, segment, logits } = begun;
      branches = Array.from({ length: num_generations }, (_, i) =>
        tree.branch(first_sample + i, forced, segment),
      );
      const answers = branches.map((branch) => ({ branch, settings, question }));
      const { max_new_tokens, steps, signal } = request;
      const position = forced.length;
      const written = this.loop.write({ tree, answers, logits, position, max_new_tokens, steps, signal });
      for await (const drawn of written)
        yield drawn.map(({ answer, record }) => ({ sample: answer.branch.sample - first_sample, record }));
    } catch (cause) {
      this.recorder.discard();
      const error = cause instanceof GpuMemoryError ? this.refused(request, cause) : cause;
      this.forget();
      throw error;
    } finally {
      this.settle(branches);
    }
  }

  /** Frees the buffers; the model stays with its owner. */
  destroy(): void {
    this.forget();
    this.loop.destroy();
  }

  /**
   * Computes all that comes before the first draw, or finds it in the tree that is kept.
   * @returns the segment that the answers follow and the logits of their first tokens; undefined where the request was
   * stopped.
   */
  private async begin(
    request: GenerateRequest,
  ): Promise<{ tree: AnswerTree; segment: number; logits: GpuTensor } | undefined> {
    const { prompt_ids, visual, forced = [], steps, signal, onPrefill = () => {} } = request;
    const { num_generations = 1 } = request;
    const { gpu, recorder } = this;
    const { language } = this.model;
    const kept = this.reusable(request);
    if (!kept) this.forget();
    const prompts = kept ? undefined : language.embedPrompts([request]);
    let last: GpuTensor | undefined;
    try {
      const promptRows = kept?.promptRows ?? prompts!.rows[0]!;
      checkRequest(request, promptRows + forced.length, this.model, this.fittingRows());
      const tree = kept ?? new AnswerTree(language, [{ prompt_ids, visual, rows: promptRows }], steps);
      this.tree = tree;
      const from = tree.shared(forced);
      const total = (prompts ? promptRows : 0) + forced.length - from.rows;
      let { segment } = from;
      if (prompts) {
        const { cache } = tree;
        const tell = (rows: number) => onPrefill(rows, total);
        const segments = [segment];
        last = await computePrompts({
          gpu,
          recorder,
          language,
          cache,
          segments,
          prompts,
          steps,
          tell,
          signal,
        });
        if (!last) {
          this.forget();
          return undefined;
        }
      }
      let hidden = last;
      const rest = forced.slice(from.rows);
      if (rest.length > 0) {
        segment = tree.extend(segment, rest.length);
        const tokens = uploadTensor(gpu, Int32Array.from(rest), [rest.length], 'i32', 'forced tokens');
        const append = [{ segment, count: rest.length }];
        const pass = language.forward({ cache: tree.cache, append, tokens, ...(steps ? { steps } : {}) });
        hidden = await pass.finally(() => tokens.buffer.destroy());
      }
      void gpu.device.queue.onSubmittedWorkDone().then(
        () => onPrefill(total, total),
        () => undefined,
      );
      const row = hidden!.shape[0]! - 1;
      const rows = Array.from({ length: num_generations }, () => row);
      return { tree, segment, logits: await language.logits(hidden!, rows) };
    } finally {
      prompts?.embeds.buffer.destroy();
      last?.buffer.destroy();
    }
  }

  /** The tree that is kept, where the request leaves one of its answers and there is room for it beside them. */
  private reusable({
    prompt_ids,
    visual,
    steps,
    forced = [],
    max_new_tokens,
    num_generations = 1,
  }: GenerateRequest): AnswerTree | undefined {
    const { tree } = this;
    if (!tree || forced.length === 0 || !tree.isFor({ prompt_ids, visual }, steps)) return undefined;
    const rows = tree.rows + forced.length + num_generations * max_new_tokens;
    return rows <= this.fittingRows() ? tree : undefined;
  }

  private fittingRows(): number {
    return fittingRows(this.gpu, this.model.language.kvShape, this.tree?.bytes ?? 0);
  }

  /** What to say where the GPU had no room in the middle of a request. */
  private refused(request: GenerateRequest, cause: GpuMemoryError): GenerationError {
    const { tree } = this;
    const before = (tree?.promptRows ?? 0) + (request.forced?.length ?? 0);
    const rowBytes = kvRowBytes(this.model.language.kvShape);
    return outOfMemory(request, before, tree?.fittedRows ?? 0, rowBytes, cause);
  }

  /** Notes what the answers hold, and keeps the tree for forks where it is not too large. */
  private settle(branches: readonly Branch[]): void {
    const { tree } = this;
    this.last = { promptRows: tree?.promptRows ?? 0, kvBytes: tree?.bytesInUse(branches) ?? 0 };
    if (tree && tree.bytes > this.max_kept_bytes) this.forget();
  }
}
