import { HELD_OUT_SEED_START, makeToyClip, makeToyQuestions, renderToyFrames } from '../data/toy';
import { encodeMp4 } from '../video/encode-mp4';
import type { ToyClip } from './toy-clip-protocol';

// As the sample clips are: 22 frames at 11 a second, of which 8 even ones are the model's.
const SIZE = 256;
const STEPS_PER_FRAME = 3;
const FRAMES_PER_SECOND = 11;
/** Clips of the page come from their own part of the held-out seeds, beyond the evaluation's and the samples'. */
const FIRST_SEED = HELD_OUT_SEED_START + 1_000_000;

/**
 * Renders a clip of the toy world and encodes it as H.264 in an MP4 file, with four questions.
 * @throws Error with a sentence for the user where this browser encodes no video.
 */
export async function makeToyClipFile(seed: number): Promise<ToyClip> {
  const clip = makeToyClip(FIRST_SEED + seed);
  const frames = renderToyFrames(clip, { size: SIZE, stepsPerFrame: STEPS_PER_FRAME });
  const file = await encodeMp4(
    frames.map((data) => ({ width: SIZE, height: SIZE, data })),
    FRAMES_PER_SECOND,
  );
  const questions = makeToyQuestions(clip, 4).map(({ question, options, answer, family }) => ({
    question,
    options,
    label: answer.charCodeAt(0) - 65,
    family,
  }));
  return { file, fileName: `toy-${seed}.mp4`, questions };
}
