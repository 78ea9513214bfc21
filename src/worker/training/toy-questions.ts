import {
  HELD_OUT_SEED_START,
  makeToyClip,
  makeToyQuestions,
  renderToyFrames,
  type ToyClip,
  type ToyQuestion,
  ToyRng,
} from '../../data/toy';
import type { Gpu } from '../../gpu/device';
import { createTensor, type GpuTensor } from '../../gpu/tensor';
import { buildPrompt, withOptions } from '../../model/prompt';
import type { TinyLlava } from '../../model/tiny-llava';
import { Preprocessor } from '../../video/preprocessor';

/** Edge of the rendered clips, pixels. */
const CLIP_SIZE = 256;

/** A question about a toy clip, ready for the model. */
export interface PreparedQuestion {
  question: ToyQuestion;
  prompt_ids: Int32Array;
  /** Its owner destroys the buffer. */
  visual: GpuTensor;
}

/** A question and the clip that it is about. */
interface AboutClip {
  clipSeed: number;
  clip: ToyClip;
  question: ToyQuestion;
}

/** Question `number` of a run by its seed, as text. */
export function toyQuestion(seed: number, number: number): AboutClip {
  const random = new ToyRng(seed * 1_000_003 + number);
  return aboutClip(random.int(HELD_OUT_SEED_START), random);
}

function aboutClip(clipSeed: number, random: ToyRng): AboutClip {
  const clip = makeToyClip(clipSeed);
  const questions = makeToyQuestions(clip, 8);
  return { clipSeed, clip, question: questions[random.int(questions.length)]! };
}

/** Makes questions about toy clips, straight from the rendered frames. */
export class ToyQuestions {
  private constructor(
    private readonly gpu: Gpu,
    private readonly model: TinyLlava,
    private readonly preprocessor: Preprocessor,
  ) {}

  /** Compiles the preprocessing of the model's image size. */
  static async create(gpu: Gpu, model: TinyLlava): Promise<ToyQuestions> {
    const preprocessor = await Preprocessor.create(
      gpu,
      model.config.vision_config.image_size,
      model.normalisation,
    );
    return new ToyQuestions(gpu, model, preprocessor);
  }

  /** Question `number` of a run: each is about a clip of its own, and none is held out. */
  training(seed: number, number: number): Promise<PreparedQuestion> {
    return this.prepare(toyQuestion(seed, number));
  }

  /** Held-out question `number`, the same in every run. */
  heldOut(number: number): Promise<PreparedQuestion> {
    return this.prepare(aboutClip(HELD_OUT_SEED_START + number, new ToyRng(number)));
  }

  /** Frees the preprocessor; the model stays with its owner. */
  destroy(): void {
    this.preprocessor.destroy();
  }

  private async prepare({ clip, question }: AboutClip): Promise<PreparedQuestion> {
    const { gpu, model } = this;
    const S = model.config.vision_config.image_size;
    const frames = renderToyFrames(clip, { size: CLIP_SIZE });
    const pixel_values = createTensor(gpu, [frames.length, 3, S, S], 'f32', 'pixel values');
    try {
      for (const [t, data] of frames.entries())
        this.preprocessor.run({ width: CLIP_SIZE, height: CLIP_SIZE, data: data.slice() }, pixel_values, t);
      return {
        question,
        prompt_ids: model.tokenizer.encodePrompt(
          buildPrompt(withOptions(question.question, question.options)),
        ),
        visual: await model.encodeVideo(pixel_values),
      };
    } finally {
      pixel_values.buffer.destroy();
    }
  }
}
