import { grow, MAX_SAMPLES, type RawSamples } from './raw-samples';
import type { Samples, ShownFrames } from './video-file';

/** Each edit looks at every sample: what is beyond this would take seconds. */
const MAX_EDITED = 5e8;

/** An entry of an edit list; `segment_duration` in the movie's timescale, `media_time` in the track's, -1: nothing. */
export interface Edit {
  segment_duration: number;
  media_time: number;
}

/** Samples in decoding order, and which of them are shown when. */
export interface SampleTable {
  samples: Samples;
  frames: ShownFrames;
  /** Seconds that the shown frames last. */
  seconds: number;
}

/** What `buildSampleTable` needs to know besides the samples. */
export interface TableOptions {
  edits?: readonly Edit[] | undefined;
  /** Units a second of the samples' times. */
  timescale: number;
  /** Units a second of the edit list's durations. */
  movieTimescale: number;
  /** Only the first `count` samples. Default: all. */
  count?: number;
  /** Samples that are decoded and never shown. */
  isHidden?(sample: number): boolean;
}

/**
 * Orders a track's samples by presentation time and applies its edit list as FFmpeg does: a frame is shown where its
 * own time lies in `[media_time, media_time + segment_duration)` of an edit; empty edits only shift times.
 * @throws RangeError where a timescale is 0, or the edits show more frames than a file can have or have too many entries.
 */
export function buildSampleTable(raw: RawSamples, options: TableOptions): SampleTable {
  const { edits, timescale, movieTimescale, count = raw.length, isHidden = () => false } = options;
  if (!(timescale > 0 && (movieTimescale > 0 || !edits?.length))) throw new RangeError('A timescale is 0.');
  if ((edits?.length ?? 0) * count > MAX_EDITED) throw new RangeError('The edit list has too many entries.');
  const order = presentationOrder(raw.cts.subarray(0, count));
  const timestamps = new Float64Array(count);
  // Broken files repeat times; the decoder's output can be told apart only by unique ones.
  let previous = Number.NEGATIVE_INFINITY;
  for (const i of order) {
    previous = Math.max(previous + 1, Math.round((raw.cts[i]! * 1e6) / timescale));
    timestamps[i] = previous;
  }
  let shownSamples = new Uint32Array(0);
  let times = new Float64Array(0);
  let length = 0;
  let start = 0;
  let ticks = 0; // Whole numbers for the most part, so that their sum is exact.
  for (const edit of shownEdits(edits, order.length ? raw.cts[order[0]!]! : 0)) {
    const seconds = edit.segment_duration / movieTimescale;
    if (edit.media_time >= 0) {
      const end = edit.segment_duration > 0 ? edit.media_time + Math.round(seconds * timescale) : Infinity;
      for (const sample of order) {
        const cts = raw.cts[sample]!;
        if (!(cts >= edit.media_time && cts < end) || isHidden(sample)) continue;
        if (length >= MAX_SAMPLES) throw new RangeError(`The edit list shows more than ${length} frames.`);
        shownSamples = grow(shownSamples, length + 1);
        times = grow(times, length + 1);
        shownSamples[length] = sample;
        times[length++] = start + (cts - edit.media_time) / timescale;
        ticks += Math.min(raw.durations[sample]!, end - cts);
      }
    }
    start += seconds;
  }
  return {
    samples: {
      length: count,
      positions: raw.positions.slice(0, count),
      sizes: raw.sizes.slice(0, count),
      keys: raw.keys.slice(0, count),
      timestamps,
      durations: raw.durations.slice(0, count).map((duration) => Math.round((duration * 1e6) / timescale)),
    },
    frames: { length, samples: shownSamples.slice(0, length), times: times.slice(0, length) },
    seconds: ticks / timescale,
  };
}

/** Sample numbers by time; samples of the same time stay in decoding order. */
function presentationOrder(cts: Float64Array): Uint32Array {
  const order = new Uint32Array(cts.length).map((_, i) => i);
  if (cts.every((time, i) => i === 0 || time >= cts[i - 1]!)) return order;
  return order.sort((a, b) => cts[a]! - cts[b]! || a - b);
}

/** Without an edit list, or with one that shows nothing, all frames are shown from the first one's time on. */
function shownEdits(edits: readonly Edit[] | undefined, firstTime: number): readonly Edit[] {
  if (edits?.some((edit) => edit.media_time >= 0)) return edits;
  return [{ segment_duration: 0, media_time: firstTime }];
}
