/** Runs GRPO on the toy world in the browser. Driven by `npm run train`. */
import { BatchGenerator } from '../../generate/batch-generator';
import { openGpu } from '../../gpu/device';
import { type CheckpointFiles, readTrainingCheckpoint, writeTrainingCheckpoint } from '../../grpo/checkpoint';
import { type GrpoConfig, TOY } from '../../grpo/grpo-config';
import { scoreGroup } from '../../grpo/rewards/score-group';
import type { StepMetrics } from '../../grpo/step-metrics';
import { GrpoTrainer } from '../../grpo/trainer';
import { LoraAdapter } from '../../lora/adapter';
import { DEFAULT_LORA } from '../../lora/lora-config';
import type { DecoderSteps } from '../../model/decoder-steps';
import { TinyLlava } from '../../model/tiny-llava';
import { Preprocessor } from '../../video/preprocessor';
import { urlStore } from '../../weights/file-store';
import { checkGrpo } from '../../worker/training/check-config';
import { checkHeldOut, type HeldOutCheck, sampledAccuracy } from '../../worker/training/held-out-check';
import { type RunQuestion, toySource } from '../../worker/training/question-source';
import type { EvalLine } from '../../worker/training-protocol';
import { HeldOutClips } from './held-out-clips';

/** Thoughts of this many characters get the toy's whole length reward: they are far shorter than the original's. */
const TOY_LENGTH = 300;
/** Held-out questions that are answered side by side. */
const SIDE_BY_SIDE = 64;

/** A checkpoint's files as the command line and the page pass them: bytes in base64. */
export type EncodedFiles = Record<keyof CheckpointFiles, string>;

/** Settings of a run of the command line: what its checkpoint keeps. */
export interface TrainConfig extends GrpoConfig {
  /** Thoughts of this many characters get the whole length reward. */
  max_length_reward: number;
}

/** What the command line asks for. */
export interface TrainingRequest {
  modelUrl: string;
  /** Named in the adapter's files. */
  modelName: string;
  /** Steps of the whole run, those of a checkpoint included. */
  steps: number;
  seed: number;
  /** Held-out questions before and after; 0: no checks. */
  evalQuestions: number;
  /** Settings in the place of the preset's. */
  config: Partial<TrainConfig>;
  /** Where to go on. */
  checkpoint?: EncodedFiles;
  /** Checks that are known from the run's first part, or from another run of the same model. */
  before?: HeldOutAccuracy;
  /** A checkpoint every so many steps and at the end; 0: none. */
  save_steps: number;
}

/** Shares of held-out answers. */
export type TrainingEval = Omit<EvalLine, 'step' | 'questions' | 'chance'>;

/** A check of held-out questions, and of the same ones about black frames. */
export interface HeldOutAccuracy {
  questions: number;
  eval: TrainingEval;
  /** Of the sampled answers. */
  blank: number;
  /** That it took; counted in the report of a run that is given the check. */
  seconds: number;
}

/** What a run gives at its end. */
export interface TrainingReport {
  steps: number;
  seconds: number;
  seed: number;
  /** Left out without checks, as what follows. */
  eval_before?: TrainingEval;
  eval_after?: TrainingEval;
  accuracy_blank_frames_before?: number;
  accuracy_blank_frames_after?: number;
}

declare global {
  interface Window {
    trainModel(request: TrainingRequest): Promise<TrainingReport>;
    /** Set by the command line. */
    reportStep?(line: StepMetrics): Promise<void>;
    reportProgress?(what: string, done: number, total: number): Promise<void>;
    reportBefore?(accuracy: HeldOutAccuracy): Promise<void>;
    saveCheckpoint?(files: EncodedFiles): Promise<void>;
  }
}

window.trainModel = async (request) => {
  const { steps, seed } = request;
  const start = performance.now();
  const gpu = await openGpu();
  const model = await TinyLlava.load(gpu, urlStore(request.modelUrl));
  const { text_config, vision_config } = model.config;
  const checkpoint = request.checkpoint;
  const restored =
    checkpoint &&
    (await readTrainingCheckpoint<TrainConfig>(
      gpu,
      async (name) => Uint8Array.from(atob(checkpoint[name]), (char) => char.charCodeAt(0)),
      text_config,
    ));
  if (restored && restored.config.seed !== seed)
    throw new Error(
      `The checkpoint is of seed ${restored.config.seed}, not ${seed}: give --seed ${restored.config.seed}.`,
    );
  const config: TrainConfig = {
    max_length_reward: TOY_LENGTH,
    ...(restored?.config ?? { ...TOY, seed }),
    ...request.config,
    max_steps: steps,
  };
  checkGrpo(config);
  const { max_completion_length, max_length_reward } = config;
  const adapter = restored?.adapter ?? LoraAdapter.create(gpu, DEFAULT_LORA, text_config);
  if (!restored) adapter.initialise(seed);

  let asked: readonly RunQuestion[] = [];
  const trainer = await GrpoTrainer.create(gpu, model, adapter, config, (texts, question, tokens) =>
    scoreGroup(
      [{ name: 'signed_reward', weight: 1 }],
      texts.map((text, i) => ({ text, tokens: tokens[i]! })),
      asked[question]!,
      { max_completion_length, max_length_reward },
    ),
  );
  if (restored) trainer.restore(restored);

  const generator = await BatchGenerator.create(gpu, model);
  const count = request.evalQuestions;
  const clips = await HeldOutClips.create(gpu, model, count, (done, total) =>
    window.reportProgress?.('held-out clips', done, total),
  );
  const check = async (decoder: DecoderSteps): Promise<HeldOutAccuracy | undefined> => {
    if (count === 0) return undefined;
    const begin = performance.now();
    const about = (what: string, blank: boolean): HeldOutCheck => ({
      model,
      generator,
      steps: decoder,
      source: clips.source(blank),
      count,
      max_new_tokens: max_completion_length,
      side_by_side: SIDE_BY_SIDE,
      signal: new AbortController().signal,
      onProgress: (done, total) => done % SIDE_BY_SIDE === 0 && window.reportProgress?.(what, done, total),
    });
    const { questions: _, chance: __, ...line } = await checkHeldOut(about('held-out questions', false));
    const blank = await sampledAccuracy(about('black frames', true));
    const seconds = (performance.now() - begin) / 1000;
    return { questions: count, eval: line, blank, seconds };
  };
  const before = request.before ?? (await check(model.language.base));
  if (before && !request.before) await window.reportBefore?.(before);

  const save = async () => {
    const { step, num_tokens } = trainer;
    const state = { step, num_tokens, config };
    const files = await writeTrainingCheckpoint(adapter, trainer.optimiser, state, request.modelName);
    await window.saveCheckpoint?.({
      'adapter_config.json': base64(files['adapter_config.json']),
      'adapter_model.safetensors': base64(files['adapter_model.safetensors']),
      'optimizer.safetensors': base64(files['optimizer.safetensors']),
      'trainer_state.json': base64(files['trainer_state.json']),
    });
  };
  const preprocessor = await Preprocessor.create(gpu, vision_config.image_size, model.normalisation);
  const source = await toySource({ gpu, model, preprocessor });
  const { signal } = new AbortController();
  while (trainer.step < steps) {
    const questions: RunQuestion[] = [];
    for (let i = 0; i < config.questions_per_step; i++)
      questions.push(await source.training(seed, trainer.step * config.questions_per_step + i, signal));
    asked = questions;
    const { metrics } = await trainer.train(questions.map((about) => ({ ...about, about })));
    for (const { visual } of questions) visual.buffer.destroy();
    await window.reportStep?.(metrics);
    const { save_steps } = request;
    if (save_steps > 0 && (trainer.step % save_steps === 0 || trainer.step === steps)) await save();
  }
  const after = await check(trainer.steps);
  return {
    steps,
    seconds: (performance.now() - start) / 1000 + (request.before?.seconds ?? 0),
    seed,
    ...(before && { eval_before: before.eval, accuracy_blank_frames_before: before.blank }),
    ...(after && { eval_after: after.eval, accuracy_blank_frames_after: after.blank }),
  };
};

function base64(data: string | Uint8Array): string {
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
  let text = '';
  for (let i = 0; i < bytes.length; i += 0x8000)
    text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}
