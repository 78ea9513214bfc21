import { renderToyFrames } from '../../data/toy';
import { encodeMp4 } from '../../video/encode-mp4';
import { toyQuestion } from './toy-questions';

// As the sample clips are: 22 frames at 11 a second, of which 8 even ones are the model's.
const SIZE = 256;
const STEPS_PER_FRAME = 3;
const FRAMES_PER_SECOND = 11;

/** A question of the toy world with its clip as a video file. */
export interface ToyRow {
  problem: string;
  solution: string;
  video_filename: string;
  clip: Blob;
}

/**
 * Questions `first` to `first + count - 1` of a run, their clips encoded.
 * @throws Error where this browser encodes no video.
 */
export async function toyRows(seed: number, first: number, count: number): Promise<ToyRow[]> {
  const rows: ToyRow[] = [];
  for (let number = first; number < first + count; number++) {
    const { clipSeed, clip: scene, question } = toyQuestion(seed, number);
    const frames = renderToyFrames(scene, { size: SIZE, stepsPerFrame: STEPS_PER_FRAME });
    const clip = await encodeMp4(
      frames.map((data) => ({ width: SIZE, height: SIZE, data })),
      FRAMES_PER_SECOND,
    );
    const { problem, solution } = question;
    rows.push({ problem, solution, video_filename: `./clips/toy-${clipSeed}.mp4`, clip });
  }
  return rows;
}
