import {
  HELD_OUT_SEED_START,
  makeToyClip,
  makeToyQuestions,
  renderToyFrames,
  TOY_FAMILIES,
  type ToyQuestion,
} from '../../data/toy';
import { encodeMp4 } from '../../video/encode-mp4';

/** Edge of the encoded clips, pixels: larger than the model's input, as real videos are. */
const CLIP_SIZE = 256;
const FRAMES_PER_SECOND = 4;
const QUESTIONS_PER_CLIP = 2;

/** A held-out clip and what is asked about it. */
export interface AskedClip {
  clipSeed: number;
  chosen: ToyQuestion[];
}

/** Held-out clips and `count` questions, each family as often as the others (up to one). */
export function chooseQuestions(count: number): AskedClip[] {
  const quota = new Map(TOY_FAMILIES.map((family) => [family, 0]));
  const out: AskedClip[] = [];
  let total = 0;
  for (let clipSeed = HELD_OUT_SEED_START; total < count; clipSeed++) {
    const level = Math.min(...quota.values());
    const chosen = makeToyQuestions(makeToyClip(clipSeed), 8)
      .filter((question) => quota.get(question.family) === level)
      .slice(0, Math.min(QUESTIONS_PER_CLIP, count - total));
    for (const { family } of chosen) quota.set(family, quota.get(family)! + 1);
    total += chosen.length;
    if (chosen.length > 0) out.push({ clipSeed, chosen });
  }
  return out;
}

/** A clip as an H.264 file. */
export function toyVideo(clipSeed: number): Promise<Blob> {
  return encode(renderToyFrames(makeToyClip(clipSeed), { size: CLIP_SIZE }));
}

/** As many black frames as a clip has, as an H.264 file. */
export function blackVideo(): Promise<Blob> {
  return encode(Array.from({ length: 8 }, () => new Uint8Array(CLIP_SIZE * CLIP_SIZE * 3)));
}

function encode(frames: Uint8Array[]): Promise<Blob> {
  return encodeMp4(
    frames.map((data) => ({ width: CLIP_SIZE, height: CLIP_SIZE, data })),
    FRAMES_PER_SECOND,
  );
}
