import type { VideoFile } from './video-file';

/** A stretch of samples to decode, from a key frame on, and the frames to keep of it. */
export interface DecodeRun {
  /** First sample, a key frame, and one past the last; decoding order. */
  first: number;
  end: number;
  /** Positions in `indices`, by the sample that shows them. */
  wanted: Map<number, number[]>;
}

/**
 * The runs of samples that the given frames need: from each frame's key frame to the frame itself, runs that begin
 * at the same key frame joined. Runs come in presentation order for indices in ascending order.
 * @param indices presentation indices; may repeat.
 * @throws RangeError for an index that is not a frame of the video.
 */
export function planRuns(
  { frames, samples }: Pick<VideoFile, 'frames' | 'samples'>,
  indices: readonly number[],
): DecodeRun[] {
  const runs = new Map<number, DecodeRun>();
  for (const [position, index] of indices.entries()) {
    const sample = frames.samples[index];
    if (sample === undefined)
      throw new RangeError(`There is no frame ${index}: the video has ${frames.length}.`);
    const first = keyFrameBefore(samples, sample);
    const run = runs.get(first) ?? { first, end: first, wanted: new Map() };
    run.end = Math.max(run.end, sample + 1);
    run.wanted.set(sample, [...(run.wanted.get(sample) ?? []), position]);
    runs.set(first, run);
  }
  return [...runs.values()].sort((a, b) => a.first - b.first);
}

/** Frames shown before the key frame that precedes them in the file may lean on the group before it. */
function keyFrameBefore({ keys, timestamps }: VideoFile['samples'], sample: number): number {
  for (let key = sample; ; key--) {
    while (key > 0 && !keys[key]) key--;
    if (key === 0 || timestamps[sample]! >= timestamps[key]!) return key;
  }
}
