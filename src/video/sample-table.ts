import type { Sample, ShownFrame } from './video-file';

/** A sample as the container's tables have it; times in units of the track's timescale. */
export interface RawSample {
  offset: number;
  size: number;
  cts: number;
  duration: number;
  is_sync: boolean;
}

/** An entry of an edit list; `segment_duration` in the movie's timescale, `media_time` in the track's, -1: nothing. */
export interface Edit {
  segment_duration: number;
  media_time: number;
}

/** Samples in decoding order, and which of them are shown when. */
export interface SampleTable {
  samples: Sample[];
  frames: ShownFrame[];
  /** Seconds that the shown frames last. */
  seconds: number;
}

/**
 * Orders a track's samples by presentation time and applies its edit list as FFmpeg does: a frame is shown where its
 * own time lies in `[media_time, media_time + segment_duration)` of an edit; empty edits only shift times.
 * @param timescale units a second of the track; `movieTimescale` of the edit list's durations.
 * @throws RangeError where a number that must be there is none (tables of different lengths, timescales of 0).
 */
export function buildSampleTable(
  raw: readonly RawSample[],
  edits: readonly Edit[] | undefined,
  timescale: number,
  movieTimescale: number,
): SampleTable {
  checkNumbers(raw, timescale, edits?.length ? movieTimescale : timescale);
  const order = raw.map((_, i) => i).sort((a, b) => raw[a]!.cts - raw[b]!.cts || a - b);
  const samples: Sample[] = raw.map(({ offset, size, is_sync, duration }) => ({
    offset,
    size,
    isKey: is_sync,
    timestamp: 0,
    duration: Math.round((duration * 1e6) / timescale),
  }));
  // Broken files repeat times; the decoder's output can be told apart only by unique ones.
  let previous = Number.NEGATIVE_INFINITY;
  for (const i of order) {
    previous = Math.max(previous + 1, Math.round((raw[i]!.cts * 1e6) / timescale));
    samples[i]!.timestamp = previous;
  }
  const frames: ShownFrame[] = [];
  let start = 0;
  let seconds = 0;
  for (const edit of shownEdits(edits, order.length ? raw[order[0]!]!.cts : 0)) {
    const length = edit.segment_duration / movieTimescale;
    if (edit.media_time >= 0) {
      const end = edit.segment_duration > 0 ? edit.media_time + Math.round(length * timescale) : Infinity;
      for (const sample of order) {
        const { cts, duration } = raw[sample]!;
        if (cts < edit.media_time || cts >= end) continue;
        const time = start + (cts - edit.media_time) / timescale;
        frames.push({ sample, time });
        seconds += Math.min(duration, end - cts) / timescale;
      }
    }
    start += length;
  }
  return { samples, frames, seconds };
}

function checkNumbers(raw: readonly RawSample[], ...timescales: number[]): void {
  if (!timescales.every((scale) => scale > 0)) throw new RangeError('A timescale is 0.');
  for (const { offset, size, cts, duration } of raw) {
    if (!(offset >= 0 && size >= 0 && duration >= 0 && Number.isFinite(offset + size + cts + duration)))
      throw new RangeError('The tables of samples do not fit together.');
  }
}

/** Without an edit list, or with one that shows nothing, all frames are shown from the first one's time on. */
function shownEdits(edits: readonly Edit[] | undefined, firstTime: number): readonly Edit[] {
  if (edits?.some((edit) => edit.media_time >= 0)) return edits;
  return [{ segment_duration: 0, media_time: firstTime }];
}
