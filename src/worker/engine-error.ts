import { GenerationError } from '../generate/errors';
import { GpuError, GpuMemoryError } from '../gpu/errors';
import { StorageError } from '../storage/errors';
import { VideoError } from '../video/errors';
import { CheckpointError } from '../weights/errors';
import type { EngineError, ErrorScope } from './protocol';

const TITLES: Record<VideoError['code'], string> = {
  empty: 'This file is empty.',
  'not-a-video': 'This is not a video.',
  'unsupported-container': 'This kind of video file cannot be read here.',
  truncated: 'The video stops early.',
  corrupt: 'This video is damaged.',
  'no-video-track': 'This file has no picture.',
  'unsupported-codec': 'This video cannot be read here.',
  'too-large': 'This video is too large.',
  'no-webcodecs': 'This browser cannot decode videos.',
  'decode-failed': 'The video could not be decoded.',
  unreadable: 'The file could not be read.',
};

/** What helps where the GPU has no room, by what was asked of it. */
const MEMORY_HINTS: Record<ErrorScope, string> = {
  gpu: 'Close other tabs and programs that use the GPU.',
  model: 'Choose a smaller model, or close other tabs and programs that use the GPU, and load it again.',
  video: 'Take fewer frames, or close other tabs and programs that use the GPU, and open it again.',
  ask: 'Ask for fewer answers or fewer new tokens, or close other tabs and programs that use the GPU.',
  bench: 'Measure the smaller shapes, or close other tabs and programs that use the GPU.',
  train:
    'Take fewer or shorter answers or a smaller rank, or close other tabs and programs that use the GPU.',
};

/** A request that needs a model came while none was loaded. */
export class NoModelError extends Error {
  override name = 'NoModelError';
  constructor() {
    super('No model is loaded. Choose one, then try again.');
  }
}

/** A load was stopped; `message` says what stays of it. */
export class LoadStoppedError extends Error {
  override name = 'LoadStoppedError';
}

/** The GPU was lost again so soon that it is not opened once more. */
export function lostAgain(reason: string): EngineError {
  return {
    scope: 'gpu',
    code: 'device-lost-again',
    title: 'The GPU was reset twice in one minute, so we stopped.',
    message:
      `${reason.trim().replace(/[.!?]?$/, '.')} Your question, your video and the answers so far are kept. ` +
      'Close what else uses the GPU, then load the model again.',
  };
}

/** What the page shows for an error that was thrown in the engine. */
export function engineError(scope: ErrorScope, cause: unknown): EngineError {
  if (cause instanceof VideoError) {
    const message = cause.hint ? `${cause.message} ${cause.hint}` : cause.message;
    return { scope: 'video', code: cause.code, title: TITLES[cause.code], message };
  }
  if (cause instanceof CheckpointError)
    return {
      scope: 'model',
      code: 'checkpoint',
      title: 'The model could not be loaded.',
      message: cause.message,
    };
  const stopped = { scope: 'model', code: 'cancelled', title: 'Loading was stopped.' } as const;
  if (cause instanceof LoadStoppedError) return { ...stopped, message: cause.message };
  // Before its turn.
  if (scope === 'model' && cause instanceof DOMException && cause.name === 'AbortError')
    return { ...stopped, message: 'Nothing of it was loaded yet.' };
  if (cause instanceof NoModelError)
    return { scope, code: 'no-model', title: 'No model is loaded.', message: 'Choose one, then try again.' };
  if (cause instanceof GpuMemoryError) {
    const message = `${cause.message} ${MEMORY_HINTS[scope]}`;
    return { scope, code: cause.code, title: 'Not enough GPU memory.', message };
  }
  if (cause instanceof GpuError) {
    const title = cause.code === 'no-webgpu' ? 'This browser has no WebGPU.' : 'The GPU cannot be used.';
    return { scope: 'gpu', code: cause.code, title, message: cause.message };
  }
  if (cause instanceof GenerationError) {
    const { code, title, message, suggestions } = cause;
    return { scope: 'ask', code, title, message, suggestions };
  }
  const message = cause instanceof Error ? cause.message : String(cause);
  const titles: Record<ErrorScope, string> = {
    gpu: 'The GPU cannot be used.',
    model: 'The model could not be loaded.',
    video: 'The video could not be read.',
    ask: 'The answer could not be finished.',
    train: 'This could not be done.',
    bench: 'The measurement could not be finished.',
  };
  const none = cause instanceof StorageError && cause.code === 'unavailable';
  return { scope, code: none ? 'no-storage' : 'failed', title: titles[scope], message };
}
