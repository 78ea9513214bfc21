import type { Gpu } from '../gpu/device';
import { GpuMemoryError } from '../gpu/errors';
import { ReadBackRing } from '../gpu/read-back';
import { Recorder } from '../gpu/recorder';
import { createTensor, type GpuTensor, uploadTensor } from '../gpu/tensor';
import type { DecoderSteps } from '../model/decoder-steps';
import { kvRowBytes } from '../model/kv-cache';
import type { TinyLlava } from '../model/tiny-llava';
import { AnswerTree, type Branch } from './answer-tree';
import { checkRequest, fittingRows, outOfMemory } from './check-request';
import { computePrompt } from './compute-prompt';
import type { GenerationError } from './errors';
import { checkSettings, decodeRecord, RECORD_WORDS, type SampleRecord, Sampler } from './sampler';
import type { DrawSettings } from './settings';

const MAX_KEPT_BYTES = 512 * 2 ** 20;

const BROKEN_LOGITS =
  'The model gave values that are no numbers (NaN or infinity), so no token could be chosen. ' +
  'Its weights may be damaged: load them again.';

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

/** Draws under way: answers by the row of the batch. */
interface Draws {
  rows: readonly Branch[];
  records: Promise<SampleRecord[]>;
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
 * Continues a prompt token by token, a group of answers side by side: the prompt is computed once, and each step
 * takes one row of every answer that has not ended. The sampled tokens stay on the GPU, where the next step reads
 * them; the CPU reads them one step behind, so one row more than needed is computed behind an answer's last token.
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
  private tokens: [GpuTensor, GpuTensor] | undefined;
  private records: GpuTensor | undefined;
  private tree: AnswerTree | undefined;
  private last: GenerationUse = { promptRows: 0, kvBytes: 0 };

  private constructor(
    private readonly gpu: Gpu,
    private readonly model: TinyLlava,
    private readonly sampler: Sampler,
    private readonly max_kept_bytes: number,
  ) {
    this.recorder = new Recorder(gpu, 'generate');
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
    const { max_new_tokens, num_generations = 1, first_sample = 0, forced = [], signal } = request;
    const { language, tokenizer } = this.model;
    checkSettings(request.settings);
    let branches: Branch[] = [];
    let ring: ReadBackRing | undefined;
    let pending: Draws | undefined;
    try {
      const begun = await this.begin(request);
      if (!begun) return;
      const { tree, segment, hidden } = begun;
      this.reserve(num_generations);
      ring = new ReadBackRing(this.gpu, num_generations * RECORD_WORDS * 4);
      branches = Array.from({ length: num_generations }, (_, i) =>
        tree.branch(first_sample + i, forced, segment),
      );
      let alive = branches;
      const row = hidden.shape[0]! - 1;
      const logits = await language.logits(
        hidden,
        branches.map(() => row),
      );
      pending = this.draw(request, logits, branches, 0, ring);
      for (let step = 1; alive.length > 0; step++) {
        let next: Draws | undefined;
        if (step < max_new_tokens) {
          this.keepRows(pending.rows, alive);
          tree.makeRoom(alive, max_new_tokens - step);
          const states = await language.forward({
            cache: tree.cache,
            append: alive.map(({ leaf }) => ({ segment: leaf, count: 1 })),
            tokens: this.tokens![0],
            ...(request.steps ? { steps: request.steps } : {}),
          });
          next = this.draw(request, await language.logits(states), alive, step, ring);
        }
        const current: Draws = pending;
        if (next) pending = next;
        const tokens: GroupToken[] = [];
        for (const [i, record] of (await current.records).entries()) {
          const branch = current.rows[i]!;
          // This step was under way when the end of the answer was read.
          if (!alive.includes(branch)) continue;
          if (record.status !== 0) throw new Error(BROKEN_LOGITS);
          branch.tokens.push(record.id);
          tokens.push({ sample: branch.sample - first_sample, record });
        }
        alive = next ? alive.filter((branch) => branch.tokens.at(-1) !== tokenizer.eos_token_id) : [];
        yield tokens;
        if (signal?.aborted) break;
      }
    } catch (cause) {
      this.recorder.discard();
      const error = cause instanceof GpuMemoryError ? this.refused(request, cause) : cause;
      this.forget();
      throw error;
    } finally {
      // The read under way must end before its buffer is destroyed.
      await pending?.records.catch(() => undefined);
      ring?.destroy();
      this.settle(branches);
    }
  }

  /** Frees the buffers; the model stays with its owner. */
  destroy(): void {
    this.forget();
    this.freeDraws();
  }

  /**
   * Computes all that comes before the first draw, or finds it in the tree that is kept.
   * @returns the segment that the answers follow and the hidden states whose last row draws their first tokens;
   * undefined where the request was stopped.
   */
  private async begin(
    request: GenerateRequest,
  ): Promise<{ tree: AnswerTree; segment: number; hidden: GpuTensor } | undefined> {
    const { prompt_ids, visual, forced = [], steps, signal, onPrefill = () => {} } = request;
    const { gpu, recorder } = this;
    const { language } = this.model;
    const kept = this.reusable(request);
    if (!kept) this.forget();
    const embeds = kept ? undefined : language.embedPrompt(prompt_ids, visual);
    try {
      const promptRows = kept?.promptRows ?? embeds!.shape[0]!;
      checkRequest(request, promptRows + forced.length, this.model, this.fittingRows());
      const tree = kept ?? new AnswerTree(language, prompt_ids, visual, promptRows, steps);
      this.tree = tree;
      const from = tree.shared(forced);
      const total = (embeds ? promptRows : 0) + forced.length - from.rows;
      let { segment } = from;
      let hidden: GpuTensor | undefined;
      if (embeds) {
        const { cache } = tree;
        const tell = (rows: number) => onPrefill(rows, total);
        hidden = await computePrompt({
          gpu,
          recorder,
          language,
          cache,
          segment,
          embeds,
          steps,
          tell,
          signal,
        });
        if (!hidden) {
          this.forget();
          return undefined;
        }
      }
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
      return { tree, segment, hidden: hidden! };
    } finally {
      embeds?.buffer.destroy();
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
    if (!tree || forced.length === 0 || !tree.isFor(prompt_ids, visual, steps)) return undefined;
    const rows = tree.rows + forced.length + num_generations * max_new_tokens;
    return rows <= this.fittingRows() ? tree : undefined;
  }

  private fittingRows(): number {
    return fittingRows(this.gpu, this.model.config.text_config, this.tree?.bytes ?? 0);
  }

  /** What to say where the GPU had no room in the middle of a request. */
  private refused(request: GenerateRequest, cause: GpuMemoryError): GenerationError {
    const { tree } = this;
    const before = (tree?.promptRows ?? 0) + (request.forced?.length ?? 0);
    const rowBytes = kvRowBytes(this.model.config.text_config);
    return outOfMemory(request, before, tree?.fittedRows ?? 0, rowBytes, cause);
  }

  /** Puts the tokens of the answers that go on in the order of the next step's rows. */
  private keepRows(before: readonly Branch[], after: readonly Branch[]): void {
    if (before.length === after.length) return;
    const [from, to] = this.tokens!;
    for (const [row, branch] of after.entries())
      this.recorder.copy(from.buffer, 4 * before.indexOf(branch), to.buffer, 4 * row, 4);
    this.recorder.submit();
    this.tokens = [to, from];
  }

  private draw(
    { settings, question = 0, forced = [] }: GenerateRequest,
    logits: GpuTensor,
    rows: readonly Branch[],
    step: number,
    ring: ReadBackRing,
  ): Draws {
    const tokens = this.tokens![0];
    const records = this.records!;
    const position = forced.length + step;
    this.sampler.record(this.recorder, {
      logits,
      tokens,
      records,
      settings,
      rows: rows.map(({ sample }) => ({ question, sample, position, active: true })),
    });
    const read = ring.read(this.recorder, records.buffer).then((bytes) => {
      const words = new Uint32Array(bytes);
      return rows.map((_, row) => decodeRecord(words, row));
    });
    return { rows, records: read };
  }

  /** Makes the buffers of the draws large enough for a group. */
  private reserve(num_generations: number): void {
    if (this.records && this.records.shape[0]! >= num_generations) return;
    this.freeDraws();
    const tokens = () => createTensor(this.gpu, [num_generations], 'i32', 'sampled tokens');
    this.tokens = [tokens(), tokens()];
    this.records = createTensor(this.gpu, [num_generations, RECORD_WORDS], 'u32', 'sample records');
  }

  /** Notes what the answers hold, and keeps the tree for forks where it is not too large. */
  private settle(branches: readonly Branch[]): void {
    const { tree } = this;
    this.last = { promptRows: tree?.promptRows ?? 0, kvBytes: tree?.bytesInUse(branches) ?? 0 };
    if (tree && tree.bytes > this.max_kept_bytes) this.forget();
  }

  private freeDraws(): void {
    for (const tensor of this.tokens ?? []) tensor.buffer.destroy();
    this.records?.buffer.destroy();
    this.tokens = undefined;
    this.records = undefined;
  }
}
