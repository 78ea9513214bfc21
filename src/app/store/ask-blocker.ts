import type { Draft } from './draft';
import { draftProblem } from './draft';
import { type EngineState, runningAnswer } from './engine-state';

/** Why nothing can be asked now, as a sentence for the user; undefined where Ask works. */
export function askBlocker(engine: EngineState, draft: Draft): string | undefined {
  const { model, video } = engine;
  if (model.status === 'failed' || model.status === 'idle') {
    return engine.errors.gpu || engine.errors.model
      ? 'No model is loaded: see the message.'
      : 'No model is loaded.';
  }
  if (runningAnswer(engine)) return 'An answer is being written.';
  if (engine.training) return 'A run is training. Pause it on the Train page to ask.';
  if (!video) return 'Open a video or take a sample clip first.';
  if (video.status === 'failed') return 'This video could not be read. Choose another one.';
  const problem = draftProblem(draft);
  if (problem) return problem;
  if (model.status === 'loading') return 'The model is still loading.';
  if (video.status === 'reading') return 'The video is still being read.';
  return undefined;
}
