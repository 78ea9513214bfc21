import { shuffledIndex } from '../../data/held-out';
import type { FileQuestion } from '../../data/question-file';
import { splitProblem } from '../../data/question-file';
import type { Gpu } from '../../gpu/device';
import { type GpuTensor, readF32, uploadTensor } from '../../gpu/tensor';
import { buildPrompt } from '../../model/prompt';
import type { TinyLlava } from '../../model/tiny-llava';
import { VideoError } from '../../video/errors';
import type { Preprocessor } from '../../video/preprocessor';
import { readVideo } from '../video-reader';
import { ToyQuestions } from './toy-questions';

/** A question of a run, ready for the model. */
export interface RunQuestion {
  /** `question\nOptions:\nA. …`. */
  problem: string;
  options: readonly string[];
  /** `<answer>C</answer>`. */
  solution: string;
  prompt_ids: Int32Array;
  /** Visual tokens `[num_queries, H]` f32; their owner destroys the buffer. */
  visual: GpuTensor;
}

/** Where a run's questions come from. A question depends on seed and number alone. */
export interface QuestionSource {
  /** How many held-out questions there are. */
  readonly heldOutCount: number;
  /** Questions of a pass over the data; undefined where it never ends. */
  readonly length?: number;
  training(seed: number, number: number, signal: AbortSignal): Promise<RunQuestion>;
  heldOut(number: number, signal: AbortSignal): Promise<RunQuestion>;
  destroy(): void;
}

/** What questions are made with. */
export interface QuestionModel {
  gpu: Gpu;
  model: TinyLlava;
  preprocessor: Preprocessor;
}

/** The toy world: never runs out. */
export async function toySource({ gpu, model }: QuestionModel): Promise<QuestionSource> {
  const toy = await ToyQuestions.create(gpu, model);
  const asRun = async (made: ReturnType<ToyQuestions['training']>): Promise<RunQuestion> => {
    const { question, prompt_ids, visual } = await made;
    return { ...pick(question), prompt_ids, visual };
  };
  return {
    heldOutCount: Number.POSITIVE_INFINITY,
    training: (seed, number) => asRun(toy.training(seed, number)),
    heldOut: (number) => asRun(toy.heldOut(number)),
    destroy: () => toy.destroy(),
  };
}

function pick({ problem, options, solution }: RunQuestion | Omit<RunQuestion, 'prompt_ids' | 'visual'>) {
  return { problem, options, solution };
}

/** Visual tokens that are kept, bytes: the toy's of 32,000 clips, the published model's of 250. */
const CACHE_BYTES = 2 ** 30;

/** Questions about video files. Each file is decoded and encoded once, as long as its tokens are kept. */
export class FileSource implements QuestionSource {
  private readonly cache = new Map<string, Float32Array<ArrayBuffer>>();
  private cachedBytes = 0;
  /** Videos that turned out not to be readable. */
  readonly unreadable = new Map<string, VideoError>();

  /** @param find the file of a `video_filename`. */
  constructor(
    private readonly use: QuestionModel,
    private readonly questions: { training: readonly FileQuestion[]; heldOut: readonly FileQuestion[] },
    private readonly find: (video_filename: string) => Promise<Blob | undefined>,
  ) {}

  get heldOutCount(): number {
    return this.questions.heldOut.length;
  }

  get length(): number {
    return this.questions.training.length;
  }

  /** As GRPO training asks: the instruction joined by a space. A video that cannot be read is passed over. */
  training(seed: number, number: number, signal: AbortSignal): Promise<RunQuestion> {
    const { training } = this.questions;
    return this.firstReadable(training, shuffledIndex(seed, number, training.length), true, signal);
  }

  /** As evaluation asks. */
  heldOut(number: number, signal: AbortSignal): Promise<RunQuestion> {
    return this.firstReadable(this.questions.heldOut, number, false, signal);
  }

  destroy(): void {
    this.cache.clear();
  }

  private async firstReadable(
    questions: readonly FileQuestion[],
    from: number,
    training: boolean,
    signal: AbortSignal,
  ): Promise<RunQuestion> {
    for (let i = 0; i < questions.length; i++) {
      const question = questions[(from + i) % questions.length]!;
      if (this.unreadable.has(question.video_filename)) continue;
      try {
        const visual = await this.encode(question.video_filename, signal);
        const { problem, solution } = question;
        return {
          problem,
          solution,
          options: splitProblem(problem).options,
          prompt_ids: this.use.model.tokenizer.encodePrompt(buildPrompt(problem, { training })),
          visual,
        };
      } catch (cause) {
        if (!(cause instanceof VideoError)) throw cause;
        this.unreadable.set(question.video_filename, cause);
      }
    }
    const [first] = this.unreadable.values();
    throw first ?? new Error('There is no question to train on.');
  }

  private async encode(name: string, signal: AbortSignal): Promise<GpuTensor> {
    const { gpu, model, preprocessor } = this.use;
    const { num_queries } = model.config.connector;
    const known = this.cache.get(name);
    if (known) {
      // The latest is the last to go.
      this.cache.delete(name);
      this.cache.set(name, known);
      return uploadTensor(gpu, known, [num_queries, known.length / num_queries], 'f32', 'visual tokens');
    }
    const file = await this.find(name);
    if (!file) throw new VideoError('unreadable', `${name} is not among the videos.`);
    const named = Object.assign(file.slice(0, file.size, file.type), { name });
    const silent = {
      onScan() {},
      onInfo() {},
      onFrame: (_i: number, _t: number, b: ImageBitmap) => b.close(),
    };
    const { visual } = await readVideo(gpu, model, preprocessor, named, 'uniform', silent, signal);
    this.keep(name, await readF32(gpu, visual));
    return visual;
  }

  private keep(name: string, values: Float32Array<ArrayBuffer>): void {
    this.cache.set(name, values);
    this.cachedBytes += values.byteLength;
    for (const [oldest, { byteLength }] of this.cache) {
      if (this.cachedBytes <= CACHE_BYTES || oldest === name) break;
      this.cache.delete(oldest);
      this.cachedBytes -= byteLength;
    }
  }
}
