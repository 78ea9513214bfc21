import type { Gpu } from '../gpu/device';
import { GpuMemoryError } from '../gpu/errors';
import { Recorder } from '../gpu/recorder';
import type { GpuTensor } from '../gpu/tensor';
import type { DecoderSteps } from '../model/decoder-steps';
import { kvRowBytes } from '../model/kv-cache';
import type { EmbeddedPrompts, LanguagePrompt } from '../model/language-model-inputs';
import type { TinyLlava } from '../model/tiny-llava';
import { AnswerLoop } from './answer-loop';
import { AnswerTree, type TreePrompt } from './answer-tree';
import { checkRequest, fittingRows, outOfMemory } from './check-request';
import { computePrompts } from './compute-prompts';
import { checkSettings, type SampleRecord, Sampler } from './sampler';
import type { DrawSettings } from './settings';

/** An answer that every prompt of a batch gets. */
export interface BatchAnswer {
  /** Its number in its group, for the random numbers. */
  sample: number;
  /** One object for all answers that are drawn alike. */
  settings: DrawSettings;
}

/** A prompt of a batch. */
export interface BatchPrompt extends LanguagePrompt {
  /** Which question of a run this is, for the random numbers. */
  question: number;
}

/** Prompts to continue side by side. */
export interface BatchRequest {
  prompts: readonly BatchPrompt[];
  /** What is written to each of them. */
  answers: readonly BatchAnswer[];
  /** Most tokens of an answer. */
  max_new_tokens: number;
  /** Prompts that are answered at a time at most. Default: as many as there is memory for. */
  prompts_at_once?: number;
  /** The decoder that writes, with an adapter (`LanguageModel.adapt`). Default: the model's own. */
  steps?: DecoderSteps | undefined;
  /** Ends all answers. */
  signal?: AbortSignal | undefined;
}

/** A token of one answer. */
export interface BatchToken {
  /** Place in the request's `prompts`. */
  prompt: number;
  /** Place in its `answers`. */
  answer: number;
  record: SampleRecord;
}

/**
 * Answers many prompts side by side, for rollouts and evaluations: every prompt is the root of a tree whose branches
 * are its answers, a step of decoding takes a row of every answer that goes on, and ended ones leave the batch. An
 * answer is the one that `Generator` writes to its prompt alone, as a draw depends on the logits and on (seed, question,
 * sample, position); the logits may differ in their last bits. Nothing is kept between requests.
 */
export class BatchGenerator {
  private readonly recorder: Recorder;
  private readonly loop: AnswerLoop;

  private constructor(
    private readonly gpu: Gpu,
    private readonly model: TinyLlava,
    sampler: Sampler,
  ) {
    this.recorder = new Recorder(gpu, 'batch');
    this.loop = new AnswerLoop(gpu, model, sampler, this.recorder);
  }

  /** Compiles the sampling kernels for a model. */
  static async create(gpu: Gpu, model: TinyLlava): Promise<BatchGenerator> {
    const { vocab_size } = model.config.text_config;
    return new BatchGenerator(gpu, model, await Sampler.create(gpu, { vocab_size }));
  }

  /**
   * Yields the tokens of each step as they are read back, the end-of-text tokens included. What does not fit beside
   * the first prompts follows when they have their answers.
   * @throws GenerationError where not even one prompt's answers fit; Error for settings that make no sense.
   */
  async *generate(request: BatchRequest): AsyncGenerator<BatchToken[], void> {
    const { prompts, answers, max_new_tokens, prompts_at_once = prompts.length, signal } = request;
    for (const { settings } of answers) checkSettings(settings);
    const { gpu, model } = this;
    const size = { num_generations: answers.length, max_new_tokens };
    for (let first = 0; first < prompts.length && !signal?.aborted; ) {
      const fitting = fittingRows(gpu, model.language.kvShape, 0);
      const part: TreePrompt[] = [];
      let rows = 0;
      for (const { prompt_ids, visual } of prompts.slice(first, first + prompts_at_once)) {
        const own = model.language.promptRows({ prompt_ids, visual });
        if (part.length === 0) checkRequest(size, own, model, fitting);
        rows += own + answers.length * max_new_tokens;
        if (part.length > 0 && rows > fitting) break;
        part.push({ prompt_ids, visual, rows: own });
      }
      yield* this.write(request, first, part);
      first += part.length;
    }
  }

  /** Frees the buffers; the model stays with its owner. */
  destroy(): void {
    this.loop.destroy();
  }

  /** Answers prompts that fit. @param first place of the first of them in the request. */
  private async *write(
    { prompts, answers, max_new_tokens, steps, signal }: BatchRequest,
    first: number,
    part: readonly TreePrompt[],
  ): AsyncGenerator<BatchToken[], void> {
    const { gpu, recorder } = this;
    const { language } = this.model;
    const tree = new AnswerTree(language, part, steps);
    let embedded: EmbeddedPrompts | undefined;
    let last: GpuTensor | undefined;
    try {
      embedded = language.embedPrompts(part);
      last = await computePrompts({
        gpu,
        recorder,
        language,
        cache: tree.cache,
        segments: tree.roots,
        prompts: embedded,
        steps,
        tell: () => {},
        signal,
      });
      if (!last) return;
      // Answers that are drawn alike lie side by side.
      const open = answers.flatMap(({ sample, settings }, answer) =>
        tree.roots.map((root, i) => ({
          branch: tree.branch(sample, [], root),
          settings,
          question: prompts[first + i]!.question,
          prompt: first + i,
          answer,
        })),
      );
      const rows = open.map(({ prompt }) => prompt - first);
      const logits = await language.logits(last, rows);
      const start = { tree, answers: open, logits, position: 0, max_new_tokens, steps, signal };
      for await (const drawn of this.loop.write(start))
        yield drawn.map(({ answer: { prompt, answer }, record }) => ({ prompt, answer, record }));
    } catch (cause) {
      recorder.discard();
      if (!(cause instanceof GpuMemoryError)) throw cause;
      const size = { num_generations: part.length * answers.length, max_new_tokens };
      const rowBytes = kvRowBytes(this.model.language.kvShape);
      throw outOfMemory(size, tree.promptRows, tree.fittedRows, rowBytes, cause);
    } finally {
      embedded?.embeds.buffer.destroy();
      last?.buffer.destroy();
      tree.destroy();
    }
  }
}
