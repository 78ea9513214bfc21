import type { FileDemonstration } from '../../data/demonstration-file';
import { shuffledIndex } from '../../data/held-out';
import { type FileQuestion, longestProblem, splitProblem } from '../../data/question-file';
import { makeToyTrace, ToyRng } from '../../data/toy';
import type { Gpu } from '../../gpu/device';
import type { GpuTensor } from '../../gpu/tensor';
import { type DemonstratedTrace, demonstrate, demonstrateSegments } from '../../grpo/cold-start';
import { buildPrompt } from '../../model/prompt';
import type { TinyLlava } from '../../model/tiny-llava';
import type { Preprocessor } from '../../video/preprocessor';
import { type PreparedQuestion, ToyQuestions } from './toy-questions';
import type { PassedOver, VideoTokens } from './video-tokens';

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
  /** Questions in whose place it is. */
  passed?: readonly PassedOver[];
}

/** A prompt with traces to learn; the owner destroys the buffer of `visual`. */
export interface RunDemonstration {
  prompt_ids: Int32Array;
  visual: GpuTensor;
  traces: readonly DemonstratedTrace[];
  /** Those in whose place it is. */
  passed?: readonly PassedOver[];
}

/** Where a run's questions come from. What it gives depends on seed and number alone. */
export interface QuestionSource {
  /** How many held-out questions there are. */
  readonly heldOutCount: number;
  /** The longest question, by characters; undefined where it is not known. */
  readonly longest?: string | undefined;
  /** Questions of a pass over the data; undefined where it never ends. */
  readonly length?: number;
  /** @param skip how many questions of this number are left out, as the user said; another takes their place. */
  training(seed: number, number: number, signal: AbortSignal, skip?: number): Promise<RunQuestion>;
  /** A held-out question, or why its video cannot be read: no other takes its place, which would count twice. */
  heldOut(number: number, signal: AbortSignal): Promise<RunQuestion | PassedOver>;
  /** For the cold start. */
  demonstration(seed: number, number: number, signal: AbortSignal): Promise<RunDemonstration>;
  destroy(): void;
}

/** What questions are made with. */
export interface QuestionModel {
  gpu: Gpu;
  model: TinyLlava;
  preprocessor: Preprocessor;
}

/** Share of the toy world's traces that guess first, and then check. */
const CHECKING = 0.3;

/** Another question of the same number in the toy world is so many away: no run comes that far. */
const TOY_SKIP = 2 ** 41;

/** The toy world: never runs out. */
export async function toySource({ gpu, model }: QuestionModel): Promise<QuestionSource> {
  const toy = await ToyQuestions.create(gpu, model);
  const asRun = async (made: Promise<PreparedQuestion>): Promise<RunQuestion> => {
    const { question, prompt_ids, visual } = await made;
    const { problem, options, solution } = question;
    return { problem, options, solution, prompt_ids, visual };
  };
  return {
    heldOutCount: Number.POSITIVE_INFINITY,
    training: (seed, number, _signal, skip = 0) => asRun(toy.training(seed, number + skip * TOY_SKIP)),
    heldOut: (number) => asRun(toy.heldOut(number)),
    async demonstration(seed, number) {
      const { question, prompt_ids, visual } = await toy.training(seed, number);
      // A stream of its own, beside the one that chose the question.
      const random = new ToyRng(seed * 1_000_003 + number + 2 ** 40);
      const { segments } = makeToyTrace(question, random.chance(CHECKING) ? 'guess' : 'careful', random);
      return { prompt_ids, visual, traces: [demonstrateSegments(model.tokenizer, segments)] };
    },
    destroy: () => toy.destroy(),
  };
}

const NOT_THIS_KIND = 'These data are not of the kind that the run needs.';

/** Questions about video files. A video that cannot be read is passed over, and the next question takes its place. */
export class FileSource implements QuestionSource {
  constructor(
    private readonly model: TinyLlava,
    private readonly videos: VideoTokens,
    private readonly questions: { training: readonly FileQuestion[]; heldOut: readonly FileQuestion[] },
  ) {}

  get heldOutCount(): number {
    return this.questions.heldOut.length;
  }

  get length(): number {
    return this.questions.training.length;
  }

  get longest(): string | undefined {
    return longestProblem([...this.questions.training, ...this.questions.heldOut]);
  }

  /** As GRPO training asks: the instruction joined by a space. */
  async training(seed: number, number: number, signal: AbortSignal, skip = 0): Promise<RunQuestion> {
    const from = shuffledIndex(seed, number, this.length);
    const read = await this.videos.firstReadable(this.questions.training, from, signal, skip);
    return { ...this.asked(read.item, read.visual, true), passed: read.passed };
  }

  /** As evaluation asks. */
  async heldOut(number: number, signal: AbortSignal): Promise<RunQuestion | PassedOver> {
    const item = this.questions.heldOut[number]!;
    const read = await this.videos.read(item.video_filename, signal);
    return 'message' in read ? read : this.asked(item, read.visual, false);
  }

  demonstration(): Promise<RunDemonstration> {
    throw new Error(NOT_THIS_KIND);
  }

  destroy(): void {
    this.videos.clear();
  }

  private asked({ problem, solution }: FileQuestion, visual: GpuTensor, training: boolean): RunQuestion {
    return {
      problem,
      solution,
      options: splitProblem(problem).options,
      prompt_ids: this.model.tokenizer.encodePrompt(buildPrompt(problem, { training })),
      visual,
    };
  }
}

/** Traces about video files, for the cold start. They say nothing of right and wrong, so none are held out. */
export class DemonstrationSource implements QuestionSource {
  readonly heldOutCount = 0;

  constructor(
    private readonly model: TinyLlava,
    private readonly videos: VideoTokens,
    private readonly demonstrations: readonly FileDemonstration[],
  ) {}

  get length(): number {
    return this.demonstrations.length;
  }

  training(): Promise<RunQuestion> {
    throw new Error(NOT_THIS_KIND);
  }

  heldOut(): Promise<RunQuestion | PassedOver> {
    throw new Error(NOT_THIS_KIND);
  }

  async demonstration(seed: number, number: number, signal: AbortSignal): Promise<RunDemonstration> {
    const from = shuffledIndex(seed, number, this.length);
    const { item, visual, passed } = await this.videos.firstReadable(this.demonstrations, from, signal);
    return { ...demonstrate(this.model.tokenizer, item.message, item.answer), visual, passed };
  }

  destroy(): void {
    this.videos.clear();
  }
}
