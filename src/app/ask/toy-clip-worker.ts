/** Renders and encodes a toy clip off the page's thread: a message `{seed}` is answered with a `ToyClipResult`. */
import { HELD_OUT_SEED_START, makeToyClip, makeToyQuestions, renderToyFrames } from '../../data/toy';
import { encodeMp4 } from '../../video/encode-mp4';
import type { SampleQuestion } from './sample-list';

/** What comes back: the clip with its questions, or why there is none. */
export type ToyClipResult =
  | { file: Blob; fileName: string; questions: SampleQuestion[] }
  | { problem: string };

// As the sample clips are: 22 frames at 11 a second, of which 8 even ones are the model's.
const SIZE = 256;
const STEPS_PER_FRAME = 3;
const FRAMES_PER_SECOND = 11;
/** Clips of the page come from their own part of the held-out seeds, beyond the evaluation's and the samples'. */
const FIRST_SEED = HELD_OUT_SEED_START + 1_000_000;

addEventListener('message', ({ data }: MessageEvent<{ seed: number }>) => {
  void make(data.seed).then(
    (result) => postMessage(result),
    (cause: unknown) => postMessage({ problem: cause instanceof Error ? cause.message : String(cause) }),
  );
});

async function make(seed: number): Promise<ToyClipResult> {
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
