import { GenerationError } from '../generate/errors';
import type { Gpu } from '../gpu/device';
import { GpuError, GpuMemoryError } from '../gpu/errors';
import { type LoadModelOptions, TinyLlava } from '../model/tiny-llava';
import { VideoError } from '../video/errors';
import { Preprocessor } from '../video/preprocessor';
import type { Checkpoint } from '../weights/checkpoint';
import { CheckpointError } from '../weights/errors';
import type { FileStore } from '../weights/file-store';
import { AnswerWriter } from './answer-writer';
import { NoModelError } from './engine-error';

/** A model on its own device, and what answers with it: dropped as a whole when the device is lost. */
export interface Session {
  gpu: Gpu;
  model: TinyLlava;
  writer: AnswerWriter;
  preprocessor: Preprocessor;
}

/** Errors that say what happened, and it was something else. */
const OTHER_CAUSES = [GpuMemoryError, VideoError, CheckpointError, GenerationError, NoModelError];

/** How long a failure waits for the word that the device was lost, which comes a moment later. */
const LOSS_MS = 500;

/**
 * Loads a model and what answers with it.
 * @throws what `TinyLlava.load` throws, and GpuError `lost`; the device is closed then, and with it all its buffers.
 */
export async function loadSession(
  gpu: Gpu,
  source: FileStore | Checkpoint,
  options: LoadModelOptions,
): Promise<Session> {
  const loading = load(gpu, source, options);
  try {
    return await Promise.race([loading, lossOf(gpu)]);
  } catch (cause) {
    const lost = await isLost(gpu, cause);
    // Loading goes on for a while on a lost device.
    void loading.then(closeSession, () => undefined);
    gpu.close();
    throw lost
      ? new GpuError('lost', 'The GPU was reset while the model was loading. Load it again.')
      : cause;
  }
}

async function load(gpu: Gpu, source: FileStore | Checkpoint, options: LoadModelOptions): Promise<Session> {
  const model = await TinyLlava.load(gpu, source, options);
  let writer: AnswerWriter | undefined;
  try {
    writer = await AnswerWriter.create(gpu, model);
    const { image_size } = model.config.vision_config;
    const preprocessor = await Preprocessor.create(gpu, image_size, model.normalisation);
    return { gpu, model, writer, preprocessor };
  } catch (cause) {
    writer?.destroy();
    await model.destroy();
    throw cause;
  }
}

/** Frees a session, that of a lost device too: ONNX Runtime's sessions and buffers do not go with it. */
export async function closeSession({ gpu, model, writer, preprocessor }: Session): Promise<void> {
  try {
    await model.destroy();
    writer.destroy();
    preprocessor.destroy();
  } catch (cause) {
    console.error('What a model held could not be freed.', cause);
  } finally {
    gpu.close();
  }
}

/** Rejects when the device is lost; otherwise never settles. */
export function lossOf(gpu: Gpu): Promise<never> {
  return gpu.lost.then((reason) => {
    throw new GpuError('lost', reason);
  });
}

/** Whether something failed because its device was lost. Work fails a moment before the loss is known. */
export async function isLost(gpu: Gpu, cause: unknown): Promise<boolean> {
  if (cause instanceof GpuError && cause.code === 'lost') return true;
  if (OTHER_CAUSES.some((kind) => cause instanceof kind)) return false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), LOSS_MS);
  });
  const lost = await Promise.race([gpu.lost.then(() => true), late]);
  clearTimeout(timer);
  return lost;
}
