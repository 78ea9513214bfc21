import type { Alternative, TokenInfo } from '../../worker/protocol';
import { type EngineState, runningAnswer } from '../store/engine-state';
import type { Pair } from './answer-facts';

/** The alternative that a fork would go on from: the chosen one, else the most probable that was not drawn. */
export function forkAlternative(token: TokenInfo, chosen: number | undefined): Alternative | undefined {
  const others = token.alternatives.filter((alternative) => alternative.id !== token.id);
  return others.find((alternative) => alternative.id === chosen) ?? others[0];
}

/** Why an answer cannot be continued from another token now, as a sentence; undefined where it can. */
export function forkBlocker(engine: EngineState, { answer, sample }: Pair): string | undefined {
  if (runningAnswer(engine)) return 'An answer is being written.';
  if (sample.status === 'prefill') return 'This answer has no tokens yet.';
  if (engine.model.recorded)
    return 'Going on from another token needs the model itself: this one is recorded.';
  if (engine.model.status !== 'ready') return 'No model is ready.';
  if (engine.model.name !== answer.model)
    return `${answer.model} wrote this answer. Load it again to continue it.`;
  if (engine.video?.url !== answer.videoUrl)
    return `This answer is about ${answer.videoName}. Open it again to continue it.`;
  if (engine.video.status !== 'ready') return 'The video is still being read.';
  return undefined;
}
