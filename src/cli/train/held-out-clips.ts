import { HELD_OUT_SEED_START, makeToyClip, makeToyQuestions, type ToyQuestion, ToyRng } from '../../data/toy';
import type { Gpu } from '../../gpu/device';
import { Recorder } from '../../gpu/recorder';
import { byteLength, createTensor, type GpuTensor } from '../../gpu/tensor';
import { buildPrompt, withOptions } from '../../model/prompt';
import type { TinyLlava } from '../../model/tiny-llava';
import { Preprocessor } from '../../video/preprocessor';
import type { QuestionSource, RunQuestion } from '../../worker/training/question-source';
import { readVideo } from '../../worker/video-reader';
import { blackVideo, toyVideo } from '../evaluate/toy-clips';

const QUESTIONS_PER_CLIP = 2;

/**
 * Held-out questions of the toy world, in its own mix of families as in training, about clips that went through H.264 and the page's own decoding. Each clip is
 * encoded once; its visual tokens are kept for all checks.
 */
export class HeldOutClips {
  private readonly recorder: Recorder;

  private constructor(
    private readonly gpu: Gpu,
    private readonly model: TinyLlava,
    private readonly questions: readonly { question: ToyQuestion; visual: GpuTensor }[],
    private readonly black: GpuTensor,
  ) {
    this.recorder = new Recorder(gpu, 'held-out clips');
  }

  /** Renders, encodes, decodes and keeps the clips of `count` questions. */
  static async create(
    gpu: Gpu,
    model: TinyLlava,
    count: number,
    onProgress: (done: number, total: number) => void,
  ): Promise<HeldOutClips> {
    const { image_size } = model.config.vision_config;
    const preprocessor = await Preprocessor.create(gpu, image_size, model.normalisation);
    const silent = {
      onScan() {},
      onInfo() {},
      onFrame: (_index: number, _time: number, picture: ImageBitmap) => picture.close(),
    };
    const { signal } = new AbortController();
    const encode = async (file: Blob, name: string) =>
      (await readVideo(gpu, model, preprocessor, Object.assign(file, { name }), 'uniform', silent, signal))
        .visual;
    const questions: { question: ToyQuestion; visual: GpuTensor }[] = [];
    for (let clipSeed = HELD_OUT_SEED_START; questions.length < count; clipSeed++) {
      const visual = await encode(await toyVideo(clipSeed), `toy-${clipSeed}.mp4`);
      const asked = makeToyQuestions(makeToyClip(clipSeed), 8);
      const random = new ToyRng(clipSeed);
      const wanted = Math.min(QUESTIONS_PER_CLIP, asked.length, count - questions.length);
      for (let i = 0; i < wanted; i++) {
        const [question] = asked.splice(random.int(asked.length), 1);
        questions.push({ question: question!, visual });
      }
      onProgress(questions.length, count);
    }
    const black = await encode(await blackVideo(), 'black.mp4');
    preprocessor.destroy();
    return new HeldOutClips(gpu, model, questions, black);
  }

  /** As a source of a check; with `blank`, every question is about black frames. */
  source(blank = false): Pick<QuestionSource, 'heldOut'> {
    return {
      heldOut: async (number): Promise<RunQuestion> => {
        const { question, visual } = this.questions[number]!;
        const { problem, options, solution } = question;
        const text = buildPrompt(withOptions(question.question, question.options));
        const prompt_ids = this.model.tokenizer.encodePrompt(text);
        return { problem, options, solution, prompt_ids, visual: this.copy(blank ? this.black : visual) };
      },
    };
  }

  /** Whoever takes a question destroys its visual tokens. */
  private copy({ buffer, shape, dtype }: GpuTensor): GpuTensor {
    const copy = createTensor(this.gpu, shape, dtype, 'visual tokens');
    this.recorder.copy(buffer, 0, copy.buffer, 0, byteLength(shape, dtype));
    this.recorder.submit();
    return copy;
  }
}
