import { type DecodeOptions, decodeFrames } from './decode';
import { DamageError } from './errors';
import type { VideoFile } from './video-file';

/** What could not be decoded of a video. */
export interface Damage {
  /** Where the first damage is found, and how long all of it lasts; seconds. */
  fromSeconds: number;
  seconds: number;
}

/** How frames are chosen and delivered. */
export interface SampledOptions extends DecodeOptions {
  /** Which of `n` frames to take. */
  choose(n: number): readonly number[];
  /**
   * Called with the presentation indices that are decoded next. Called again where damage is found on the way: the
   * frames delivered before count no more.
   */
  onChoice(indices: readonly number[], damage: Damage | undefined): void;
}

/** Damaged stretches that are left out before the file is given up. */
const MAX_STRETCHES = 8;

/**
 * Decodes a choice of a video's frames. Where the decoder gives up in the middle, the group of pictures is left out
 * from there on, and the frames are chosen anew among those that are left: a glitch does not spoil an hour.
 * @throws as `decodeFrames`; DamageError where less than half of the video can be decoded.
 */
export async function decodeSampled(
  video: VideoFile,
  { choose, onChoice, ...options }: SampledOptions,
): Promise<void> {
  const readable = new ReadableFrames(video);
  let first: DamageError | undefined;
  for (let stretches = 0; ; stretches++) {
    const indices = choose(readable.length).map((k) => readable.at(k));
    onChoice(indices, readable.damage());
    try {
      return await decodeFrames(video, indices, options);
    } catch (error) {
      if (!(error instanceof DamageError)) throw error;
      first ??= error;
      readable.leaveOutGroup(error.frame);
      if (stretches === MAX_STRETCHES || readable.length < video.frameCount / 2) throw first;
    }
  }
}

/** The frames of a video without its damaged stretches. */
class ReadableFrames {
  length: number;
  /** Presentation indices `[from, to)` of the stretches, in ascending order; they do not overlap. */
  private readonly stretches: { from: number; to: number }[] = [];

  constructor(private readonly video: VideoFile) {
    this.length = video.frameCount;
  }

  /** Presentation index of readable frame `k`. */
  at(k: number): number {
    let index = k;
    for (const { from, to } of this.stretches) if (index >= from) index += to - from;
    return index;
  }

  /** Leaves out the frames from presentation index `frame` to the next key frame. */
  leaveOutGroup(frame: number): void {
    const { frames, samples } = this.video;
    let to = frame + 1;
    while (to < frames.length && !samples.keys[frames.samples[to]!]) to++;
    let from = frame;
    // Damage found before that begins inside joins this one; what lies before `frame` was readable until here.
    for (let i = this.stretches.length - 1; i >= 0; i--) {
      const other = this.stretches[i]!;
      if (other.to < from || other.from > to) continue;
      from = Math.min(from, other.from);
      to = Math.max(to, other.to);
      this.stretches.splice(i, 1);
    }
    this.stretches.push({ from, to });
    this.stretches.sort((a, b) => a.from - b.from);
    this.length = this.video.frameCount - this.stretches.reduce((sum, s) => sum + s.to - s.from, 0);
  }

  damage(): Damage | undefined {
    const { frames, durationSeconds } = this.video;
    const first = this.stretches[0];
    if (!first) return undefined;
    const timeOf = (index: number) => frames.times[index] ?? durationSeconds;
    const seconds = this.stretches.reduce((sum, { from, to }) => sum + timeOf(to) - timeOf(from), 0);
    return { fromSeconds: timeOf(first.from), seconds };
  }
}
