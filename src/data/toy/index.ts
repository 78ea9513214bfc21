/** The toy world: seeded clips of moving shapes with questions and reasoning traces. See `toy/scene.ts`. */
import { makeSceneQuestions, type ToyQuestion } from './questions';
import { renderToyScene, type ToyRenderOptions } from './render';
import { makeToyScene, type ToyScene } from './scene';

export { captionFrame } from './captions';
export { letterOf, TOY_FAMILIES, type ToyFamily, type ToyQuestion } from './questions';
export type { ToyRenderOptions } from './render';
export { ToyRng } from './rng';
export type { ToyEvent, ToyObject, ToyScenario, ToyScene } from './scene';
export { makeToyTrace, TOY_CHECK, type ToyStyle, type ToyTrace } from './traces';
export * from './vocabulary';

/** A clip as the model sees it: the scene and its 8 frames of 64x64 RGB bytes (row-major, 12,288 bytes each). */
export interface ToyClip extends ToyScene {
  frames: Uint8Array[];
}

/** Makes the clip of a seed. Held-out clips have seeds from `HELD_OUT_SEED_START` on. */
export function makeToyClip(seed: number): ToyClip {
  const scene = makeToyScene(seed);
  return { ...scene, frames: renderToyScene(scene) };
}

/**
 * Renders a clip again at another size or time resolution: RGB bytes, `[frames][size * size * 3]`.
 * With `stepsPerFrame` m there are 7 m + 1 frames and uniform sampling of 8 gives the model's frames again.
 */
export function renderToyFrames(clip: ToyScene, options: ToyRenderOptions = {}): Uint8Array[] {
  return renderToyScene(clip, options);
}

/** Up to `n` different multiple-choice questions about a clip; the same clip and n give the same questions. */
export function makeToyQuestions(clip: ToyScene, n: number): ToyQuestion[] {
  return makeSceneQuestions(clip, n);
}
