import type { EngineError, EngineEvent, ErrorScope, FrameSampling, ModelSource } from '../../worker/protocol';
import type { AdapterInfo } from '../../worker/training-protocol';
import { type EngineState, type ModelState, runningAnswer, type VideoState } from './engine-state';
import { type AnswerAction, failRunning, onRunning, reduceAnswers } from './reduce-answers';

/** What the page itself does, beside the engine's events. */
export type PageAction =
  | {
      type: 'page/load-model';
      id: number;
      name: string;
      source: ModelSource;
      recorded: boolean;
      /** The model before it answers until this one is ready. */
      beside?: boolean;
    }
  | {
      type: 'page/open-video';
      id: number;
      file: Blob;
      name: string;
      url: string;
      sampling: FrameSampling;
    }
  /** The user ends the reading of a video: the one before it comes back. */
  | { type: 'page/cancel-video' }
  /** The open video is sent again, after the engine lost it. */
  | { type: 'page/reopen-video'; id: number }
  /** The engine's thread is gone, and the model with it. */
  | { type: 'page/engine-gone' }
  /** A run begins to hold the GPU, or lets it go. */
  | { type: 'page/training'; training: boolean }
  | { type: 'page/adapters'; adapters: readonly AdapterInfo[] }
  | AnswerAction
  | { type: 'page/dismiss'; scope: ErrorScope };

/**
 * The state after an event of the engine or an action of the page. Pure. Events that carry the id of an older
 * request are dropped: the same object comes back.
 */
export function reduceEvent(state: EngineState, event: EngineEvent | PageAction): EngineState {
  switch (event.type) {
    case 'page/load-model': {
      const { id, name, source, recorded } = event;
      const loading = { id, status: 'loading' as const, name, source, recorded };
      const { nextModel: _, ...rest } = state;
      if (event.beside) return { ...rest, nextModel: loading, errors: without(state.errors, 'model') };
      // The engine drops its video with the model: both of ours have to be read again.
      const previous = state.previousVideo;
      return {
        ...failRunning(rest),
        ...(previous ? { previousVideo: { ...previous, status: 'reading' } } : {}),
        model: loading,
        // The engine keeps them until the new model is there; another thread has none.
        adapters: state.model.recorded === recorded ? state.adapters : [],
        ...(state.model.info ? { previousModel: state.model } : {}),
        errors: without(state.errors, 'model', 'gpu', 'ask'),
      };
    }
    case 'page/open-video':
      return openVideo(state, event);
    case 'page/reopen-video': {
      if (!state.video) return state;
      const { progress: _, ...video } = state.video;
      const errors =
        state.errors.video?.code === 'not-recorded' ? without(state.errors, 'video') : state.errors;
      return { ...state, errors, video: { ...video, id: event.id, status: 'reading' } };
    }
    case 'page/cancel-video': {
      const { video: _, previousVideo, ...rest } = state;
      const next = {
        ...rest,
        ...(previousVideo ? { video: previousVideo } : {}),
        errors: without(state.errors, 'video'),
      };
      // What was cancelled may be all that the end of a recovery waited for.
      return next.model.status === 'ready' && previousVideo?.status !== 'reading' ? recovered(next) : next;
    }
    case 'page/engine-gone': {
      const { progress: _, ...model } = state.model;
      const { nextModel: __, ...rest } = state;
      return {
        ...failRunning(rest),
        model: { ...model, status: 'failed' },
        adapters: [],
        training: false,
        recovering: false,
      };
    }
    case 'page/ask':
    case 'page/fork': {
      const next = reduceAnswers(state, event);
      return next === state
        ? state
        : {
            ...next,
            errors: without(
              state.errors,
              'ask',
              ...(state.model.status === 'ready' ? (['gpu'] as const) : []),
            ),
          };
    }
    case 'page/training':
      return { ...state, training: event.training };
    case 'page/adapters':
      return { ...state, adapters: event.adapters };
    case 'page/dismiss':
      return { ...state, errors: without(state.errors, event.scope) };
    case 'gpu':
      return {
        ...state,
        gpu: { adapter: event.adapter, f16: event.f16, subgroups: event.subgroups },
        errors: state.recovering ? state.errors : without(state.errors, 'gpu'),
      };
    case 'memory':
      return { ...state, memory: { bytes: event.bytes, peakBytes: event.peakBytes } };
    case 'progress':
      return progress(state, event);
    case 'model-ready': {
      if (event.id === state.nextModel?.id)
        return reduceEvent(tooLate(state, inPlace(state, state.nextModel)), event);
      if (event.id !== state.model.id) return state;
      const { previousModel, ...rest } = state;
      const { progress: _, ...model } = state.model;
      // An error about a model is of another load, begun later: this one's own dropped what was said before it.
      const next: EngineState = {
        ...rest,
        model: { ...model, status: 'ready', info: event.model },
        // After a loss the same model is there again, and adapters with it; they say nothing about another one.
        adapters: model.info ? state.adapters : [],
      };
      // With a video open, the engine is back only once that is read again.
      return state.video && state.video.status !== 'failed' ? next : recovered(next);
    }
    case 'video-info':
      return onVideo(state, event.id, (video) => ({
        ...video,
        info: event.video,
        // Another model, or another way of sampling, takes another number of frames.
        frames: video.frames.filter((frame) => frame.index < event.video.sampledTimes.length),
      }));
    case 'frame':
      return onVideo(state, event.id, (video) => ({
        ...video,
        frames: [
          ...video.frames.filter((frame) => frame.index !== event.index),
          { index: event.index, time: event.time, thumbnail: event.thumbnail },
        ].sort((a, b) => a.index - b.index),
      }));
    case 'video-ready': {
      const next = onVideo(state, event.id, ({ progress: _, ...video }) => ({
        ...video,
        status: 'ready',
        readMs: event.readMs,
        encodeMs: event.encodeMs,
      }));
      if (next === state) return displaced(state);
      const { previousVideo: _, ...rest } = next;
      return recovered(rest);
    }
    case 'ask-started':
    case 'tokens':
    case 'answered':
    case 'ask-done':
      return reduceAnswers(state, event);
    case 'error':
      if (event.id === state.nextModel?.id && ['gpu', 'model'].includes(event.error.scope))
        return failNext(state, event.error, event.model_kept !== undefined);
      return event.model_kept === undefined || event.model_kept !== state.previousModel?.id
        ? fail(state, event.id, event.error)
        : keepModel(state, event.id, event.error);
    case 'device-lost':
      return deviceLost(state, event.reason);
  }
}

/** The engine has opened a video that the page has just turned from: the one it went back to has to be read again. */
function displaced(state: EngineState): EngineState {
  const { video, previousVideo } = state;
  if (video?.status === 'ready') return { ...state, video: { ...video, status: 'reading' } };
  return previousVideo ? { ...state, previousVideo: { ...previousVideo, status: 'reading' } } : state;
}

function openVideo(state: EngineState, event: Extract<PageAction, { type: 'page/open-video' }>): EngineState {
  // A video that was encoded once is readable, also while it is read again after a loss of the GPU.
  const readable = state.video?.status !== 'failed' && state.video?.encodeMs !== undefined;
  const previous = readable ? state.video : state.previousVideo;
  const { previousVideo: _, ...rest } = state;
  const { id, file, name, url, sampling } = event;
  return {
    ...rest,
    video: { id, status: 'reading', name, file, url, sampling, frames: [] },
    ...(previous ? { previousVideo: previous } : {}),
    errors: without(state.errors, 'video', 'ask'),
  };
}

function progress(state: EngineState, event: Extract<EngineEvent, { type: 'progress' }>): EngineState {
  const { label, done, total, bytes, files } = event;
  const value = { label, done, total, ...(bytes ? { bytes } : {}), ...(files ? { files } : {}) };
  switch (event.scope) {
    case 'gpu':
    case 'model':
      if (event.id === state.nextModel?.id)
        return { ...state, nextModel: { ...state.nextModel, progress: value } };
      return state.model.status === 'loading' && event.id === state.model.id
        ? { ...state, model: { ...state.model, progress: value } }
        : state;
    case 'video':
      return onVideo(state, event.id, (video) => ({ ...video, progress: value }));
    case 'ask':
      return onRunning(state, event.id, (answer) => ({ ...answer, progress: value }));
    case 'train':
    case 'bench':
      return state;
  }
}

function fail(state: EngineState, id: number, error: EngineError): EngineState {
  const errors = { ...state.errors, [error.scope]: error };
  switch (error.scope) {
    case 'gpu':
    case 'model': {
      const { progress: _, ...model } = state.model;
      // After a loss that is not recovered from, the engine has no model either.
      const lost = error.code === 'device-lost-again';
      // An older load, or what was asked of the model before, has failed while a newer one is under way.
      if (model.status === 'loading' && id !== model.id && !lost) return state;
      const gone = model.status === 'loading' || lost;
      const next: EngineState = gone
        ? { ...state, errors, adapters: [], model: { ...model, status: 'failed' } }
        : { ...state, errors };
      return error.scope === 'gpu' ? failRunning(next) : next;
    }
    case 'video': {
      if (state.video?.id !== id) return state;
      // Without a model no video can be read; the file waits for the next one.
      if (state.model.status === 'failed') return state;
      const { previousVideo, ...rest } = state;
      if (previousVideo) {
        const message = `${error.message} ${previousVideo.name} stays open.`;
        return {
          ...rest,
          refusedVideo: state.video.name,
          errors: { ...errors, video: { ...error, message } },
          video: previousVideo,
        };
      }
      const { progress: _, ...video } = state.video;
      return {
        ...rest,
        refusedVideo: video.name,
        errors,
        video: { ...video, status: 'failed' },
        recovering: false,
      };
    }
    case 'train':
    case 'bench':
      return { ...state, errors };
    case 'ask':
      return runningAnswer(state)?.id === id ? { ...failRunning(state), errors } : state;
  }
}

/** A model that was loaded beside takes the place of the one that answered. */
function inPlace(state: EngineState, model: ModelState): EngineState {
  const { nextModel: _, previousModel: __, ...rest } = state;
  // The engine drops its video with the model.
  const previous = state.previousVideo;
  return {
    ...failRunning(rest),
    ...(previous ? { previousVideo: { ...previous, status: 'reading' } } : {}),
    model,
    adapters: [],
    errors: without(state.errors, 'model'),
  };
}

/** What was asked once the new model's turn had come was not answered by the one before, nor will it be. */
function tooLate(before: EngineState, state: EngineState): EngineState {
  if (!runningAnswer(before)) return state;
  const ask: EngineError = {
    scope: 'ask',
    code: 'model-replaced',
    title: 'The model was replaced before it answered.',
    message: `${state.model.name} is there now. Your question is kept: ask again once the video is read.`,
  };
  return { ...state, errors: { ...state.errors, ask } };
}

/**
 * A model that was loaded beside another could not be: that one goes on.
 * @param kept the engine still has one; it had to go where there was no room for both.
 */
function failNext(state: EngineState, error: EngineError, kept: boolean): EngineState {
  const { nextModel, ...rest } = state;
  if (nextModel && state.model.status === 'ready' && !kept)
    return fail(inPlace(state, nextModel), nextModel.id, error);
  const stays = state.model.status === 'ready' ? ` ${state.model.name} stays loaded.` : '';
  const told = { ...error, scope: 'model' as const, message: `${error.message}${stays}` };
  return { ...rest, errors: { ...state.errors, model: told } };
}

/** A model could not be loaded, and the one before it goes on. */
function keepModel(state: EngineState, id: number, error: EngineError): EngineState {
  const { previousModel, ...rest } = state;
  if (!previousModel || id !== state.model.id) return state;
  const message = `${error.message} ${previousModel.name} stays loaded.`;
  return {
    ...rest,
    model: { ...previousModel, status: 'ready' },
    errors: { ...state.errors, [error.scope]: { ...error, message } },
  };
}

function deviceLost(state: EngineState, reason: string): EngineState {
  const lost = runningAnswer(state) !== undefined;
  const message = `${sentence(reason)} The model is loading again. Your question and your video are kept.${
    lost ? ' The rest of the last answer is lost.' : ''
  }`;
  const { progress: _, ...model } = state.model;
  const { video } = state;
  return {
    ...failRunning(state),
    model: { ...model, status: 'loading' },
    // The engine reads it again, under the same id.
    ...(video?.status === 'ready' ? { video: { ...video, status: 'reading' as const } } : {}),
    recovering: true,
    errors: {
      ...state.errors,
      gpu: { scope: 'gpu', code: 'device-lost', title: 'The GPU was reset.', message },
    },
  };
}

/** The end of a recovery, if there was one: the message stays, and says that all is back. */
function recovered(state: EngineState): EngineState {
  const error = state.errors.gpu;
  if (!state.recovering || error?.code !== 'device-lost') return { ...state, recovering: false };
  const gpu = {
    ...error,
    code: 'device-recovered',
    title: 'The GPU was reset. We are back.',
    message: error.message.replace('is loading again', 'was loaded again'),
  };
  return { ...state, recovering: false, errors: { ...state.errors, gpu } };
}

function onVideo(state: EngineState, id: number, change: (video: VideoState) => VideoState): EngineState {
  return state.video?.id === id ? { ...state, video: change(state.video) } : state;
}

function without(errors: EngineState['errors'], ...scopes: ErrorScope[]): EngineState['errors'] {
  if (!scopes.some((scope) => errors[scope])) return errors;
  const rest = { ...errors };
  for (const scope of scopes) delete rest[scope];
  return rest;
}

function sentence(text: string): string {
  const trimmed = text.trim();
  if (!trimmed) return 'The system took the GPU away.';
  return /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}
