import { BlockRuntimes, type BlockRuntimesOptions } from '../blocks/block-runtimes';
import type { Gpu } from '../gpu/device';
import { largestTensor } from '../gpu/largest-tensor';
import { type GpuTensor, sizeOf } from '../gpu/tensor';
import type { Normalisation } from '../video/resize-reference';
import { type Checkpoint, openCheckpoint, readJson } from '../weights/checkpoint';
import { checkpointRevision } from '../weights/checkpoint-revision';
import type { FileStore } from '../weights/file-store';
import type { TensorCache } from '../weights/kept-tensors';
import { checkTensors, type FileProgress, loadWeights, type Weights } from '../weights/load-weights';
import { parseConfig, type TinyLlavaConfig } from './config';
import { LanguageModel } from './language-model';
import { precisionLine } from './plan-parts';
import {
  defaultPrecision,
  fittingPrecision,
  type LanguageStorage,
  type ModelPrecision,
  type PartPrecision,
  passPrecision,
  summarisePrecision,
  tensorPrecision,
} from './precision';
import { PROCESSOR_FILE, parseProcessorConfig } from './processor-config';
import { Resampler } from './resampler';
import { expectedTensors } from './tensor-names';
import { Tokenizer } from './tokenizer';
import { VisionTower } from './vision-tower';

/** A phase of `TinyLlava.load`, with how far it is. */
export type LoadStage =
  /** `kept`: from where they were kept; else `files` has the same file by file. */
  | { stage: 'weights'; done: number; total: number; kept: boolean; files?: readonly FileProgress[] }
  /** Parts whose pipelines are compiled: vision tower, resampler, language model. */
  | { stage: 'compile'; done: number; total: number };

/** Options of `TinyLlava.load`. */
export interface LoadModelOptions extends BlockRuntimesOptions {
  /**
   * Awaited when the weights are there, with their element types, before any kernel of the model is compiled. What it
   * switches off (`gpu.off`) is not used.
   */
  beforeCompile?: (
    config: TinyLlavaConfig,
    dtypes: ReadonlySet<string>,
    language: LanguageStorage,
  ) => Promise<void>;
  /** Parts that are stored in another precision than `defaultPrecision` and `fittingPrecision` say. */
  precision?: Partial<ModelPrecision>;
  /** Gives the place where the weights are kept, or to be kept. */
  openCache?: (model: { revision: string; precision: string }) => Promise<ModelCache | undefined>;
  /** Ends the load, between the parts at the latest. */
  signal?: AbortSignal;
  onProgress?: (stage: LoadStage) => void;
  /** Called with the bytes of weights that are in memory, as they come and go (see `loadWeights`). */
  onHeld?: (bytes: number) => void;
}

/** Where a model's weights are kept between visits. */
export interface ModelCache extends TensorCache {
  /** Something could not be kept; the model is loaded all the same. */
  failed(cause: unknown): void;
  /** Nothing more is read or kept. `whole`: the model has all its tensors; else `cause` is why it has not. */
  close(whole: boolean, cause?: unknown): Promise<void>;
}

/** A whole model on the GPU: tokenizer, vision tower, resampler, language model, over one copy of the weights. */
export class TinyLlava {
  private constructor(
    readonly config: TinyLlavaConfig,
    /** How bytes become pixel values: what the checkpoint's preprocessor_config.json says. */
    readonly normalisation: Normalisation,
    readonly tokenizer: Tokenizer,
    readonly weights: Weights,
    readonly vision: VisionTower,
    readonly resampler: Resampler,
    readonly language: LanguageModel,
    private readonly runtimes: BlockRuntimes,
    /** Number of values in the tensors that the model uses. */
    readonly parameters: number,
    /** How each part's weights are stored, and the error that it makes. */
    readonly precision: readonly PartPrecision[],
  ) {}

  /**
   * Loads a checkpoint folder (or one that is open) and compiles all pipelines.
   * @throws CheckpointError naming the file and tensor that is wrong, GpuMemoryError where it finds no room; what was
   * loaded until then is freed.
   */
  static async load(
    gpu: Gpu,
    source: FileStore | Checkpoint,
    {
      onProgress = () => {},
      onHeld,
      precision: wanted,
      openCache,
      signal,
      ...options
    }: LoadModelOptions = {},
  ): Promise<TinyLlava> {
    const checkpoint = 'tensors' in source ? source : await openCheckpoint(source);
    const { store } = checkpoint;
    const config = parseConfig(checkpoint.config);
    const tokenizer = await Tokenizer.load(store);
    const expected = expectedTensors(config);
    // Nothing is kept, and no memory taken, before it is known to be the model that the config describes.
    if (checkpoint.files.length > 0) checkTensors(checkpoint, expected);
    const parameters = [...expected.used.values()].reduce((sum, shape) => sum + sizeOf(shape), 0);
    const usual = defaultPrecision(parameters, gpu.f16);
    const precision = { ...fittingPrecision(expected, usual, largestTensor(gpu.device.limits)), ...wanted };
    const normalisation = parseProcessorConfig(
      await readJson(store, PROCESSOR_FILE),
      config.vision_config.image_size,
    );
    const compiled = (done: number) => {
      if (done < 3) signal?.throwIfAborted();
      onProgress({ stage: 'compile', done, total: 3 });
    };
    const cache =
      openCache &&
      (await openCache({
        revision: await checkpointRevision(checkpoint),
        precision: precisionLine(precision),
      }));
    // What is there when a later part fails, last first.
    const made: { destroy(): void | Promise<void> }[] = [];
    const keep = <T extends { destroy(): void | Promise<void> }>(part: T): T => {
      made.unshift(part);
      return part;
    };
    try {
      const loading = loadWeights(gpu, checkpoint, expected, {
        onProgress: (done, total, kept, files) =>
          onProgress({ stage: 'weights', done, total, kept, ...(files ? { files } : {}) }),
        precision: tensorPrecision(expected, precision),
        ...(signal ? { signal } : {}),
        ...(onHeld ? { onHeld } : {}),
        ...(cache ? { cache, onNotKept: (cause: unknown) => cache.failed(cause) } : {}),
      });
      await loading.then(
        () => cache?.close(true),
        (cause: unknown) => cache?.close(false, cause),
      );
      const weights = keep(await loading);
      compiled(0);
      const passes = () => passPrecision(gpu.f16 && !gpu.off.has('halves'), parameters);
      await options.beforeCompile?.(
        config,
        new Set([...expected.used.keys()].map((name) => weights.get(name).dtype)),
        { weights: precision.language, passes: passes() },
      );
      signal?.throwIfAborted();
      const runtimes = keep(await BlockRuntimes.create(gpu, options));
      const vision = keep(await VisionTower.create(gpu, runtimes, config, weights));
      await vision.warmUp();
      compiled(1);
      const resampler = keep(await Resampler.create(gpu, runtimes, config, weights));
      await resampler.warmUp();
      compiled(2);
      const language = keep(await LanguageModel.create(gpu, runtimes, config, weights, passes()));
      await language.warmUp();
      await gpu.memory.check();
      compiled(3);
      return new TinyLlava(
        config,
        normalisation,
        tokenizer,
        weights,
        vision,
        resampler,
        language,
        runtimes,
        parameters,
        summarisePrecision(expected, precision, weights.errors),
      );
    } catch (cause) {
      for (const part of made) await part.destroy();
      throw cause;
    }
  }

  /** Which dense backend runs, in a word. */
  get backend(): string {
    return this.runtimes.label;
  }

  /**
   * pixel_values `[T, 3, S, S]` f32 -> visual tokens `[num_queries, H]` f32. The caller destroys the result; of what
   * encoding took in our own kernels nothing else is left.
   */
  async encodeVideo(pixel_values: GpuTensor): Promise<GpuTensor> {
    const features = await this.vision.encode(pixel_values);
    try {
      return await this.resampler.forward(features);
    } finally {
      features.buffer.destroy();
      this.runtimes.trim();
    }
  }

  /** Frees weights, graphs and buffers. */
  async destroy(): Promise<void> {
    await this.vision.destroy();
    await this.resampler.destroy();
    await this.language.destroy();
    await this.runtimes.destroy();
    this.weights.destroy();
  }
}
