import type { Box, ISOFile } from 'mp4box';
import { RawSamples } from './raw-samples';

/** A track of an MP4 as mp4box has parsed it. */
export type Trak = ISOFile['moov']['traks'][number];

/**
 * A track's samples from the tables of its `stbl`: sizes, chunks, times and key frames. Empty for a fragmented file.
 * A table of durations that ends early is read as FFmpeg reads it: the last one goes on.
 * @throws RangeError, TypeError where tables are missing or do not fit together.
 */
export function readTrackSamples(trak: Trak): RawSamples {
  const raw = new RawSamples();
  const { stco, co64, stsc, stsz, stz2, stts, ctts, stss } = trak.mdia.minf.stbl as unknown as Stbl;
  const sizes = (stsz ?? stz2)?.sample_sizes ?? [];
  raw.reserve(sizes.length);
  if (!sizes.length) return raw;
  const position = samplePositions(sizes, stsc!, (stco ?? co64)!.chunk_offsets);
  const delta = runs(stts!.sample_counts, stts!.sample_deltas, stts!.sample_deltas.at(-1) ?? 0);
  const shift = runs(ctts?.sample_counts ?? [], ctts?.sample_offsets ?? [], 0);
  let key = 0;
  let dts = 0;
  for (const [i, size] of sizes.entries()) {
    const isKey = !stss || stss.sample_numbers[key] === i + 1;
    if (stss && isKey) key++;
    const duration = delta();
    raw.add(position(), size, dts + shift(), duration, isKey);
    dts += duration;
  }
  // Some writers leave the last duration at 0 and have it in the track's total alone.
  const last = raw.length - 1;
  if (raw.durations[last] === 0) {
    const rest = trak.mdia.mdhd.duration - dts;
    raw.durations[last] = rest > 0 ? rest : (raw.durations[last - 1] ?? 0);
  }
  return raw;
}

/** The tables of a track, of which mp4box's types say too little. Run-length columns have a count beside each value. */
interface Stbl {
  stco?: { chunk_offsets: number[] };
  co64?: { chunk_offsets: number[] };
  stsc?: { first_chunk: number[]; samples_per_chunk: number[] };
  stsz?: { sample_sizes: number[] };
  stz2?: { sample_sizes: number[] };
  stts?: { sample_counts: number[]; sample_deltas: number[] };
  ctts?: { sample_counts: number[]; sample_offsets: number[] };
  stss?: { sample_numbers: number[] };
}

/** The values of a run-length table one by one; `rest` after its end. */
function runs(counts: readonly number[], values: readonly number[], rest: number): () => number {
  let run = -1;
  let left = 0;
  return () => {
    while (left === 0 && run + 1 < counts.length) left = counts[++run]!;
    if (left === 0) return rest;
    left--;
    return values[run]!;
  };
}

/** The byte offsets of a track's samples one by one; NaN behind the last chunk. */
function samplePositions(
  sizes: readonly number[],
  { first_chunk, samples_per_chunk }: NonNullable<Stbl['stsc']>,
  chunk_offsets: readonly number[],
): () => number {
  let sample = 0;
  let chunk = -1;
  let run = 0;
  let left = 0;
  let offset = 0;
  return () => {
    while (left === 0 && chunk + 1 < chunk_offsets.length) {
      chunk++;
      while (run + 1 < first_chunk.length && chunk + 1 >= first_chunk[run + 1]!) run++;
      left = samples_per_chunk[run] ?? 0;
      offset = chunk_offsets[chunk]!;
    }
    const size = sizes[sample++]!;
    if (left === 0) return Number.NaN;
    left--;
    offset += size;
    return offset - size;
  };
}

/** What a `moof` says of samples that do not say it themselves (`trex` in `moov`, `tfhd` in the fragment). */
interface Defaults {
  track_id: number;
  default_sample_duration: number;
  default_sample_size: number;
  default_sample_flags: number;
}

interface Moof extends Box {
  trafs: {
    tfhd: Defaults & { flags: number; base_data_offset: number };
    tfdt?: { baseMediaDecodeTime: number };
    truns: {
      flags: number;
      sample_count: number;
      data_offset: number;
      first_sample_flags: number;
      sample_duration: number[];
      sample_size: number[];
      sample_flags: number[];
      sample_composition_time_offset: number[];
    }[];
  }[];
}

/** Flags of `tfhd` and `trun` (ISO/IEC 14496-12, 8.8.7 and 8.8.8). */
const TFHD = { BASE_OFFSET: 1, DURATION: 8, SIZE: 16, FLAGS: 32, BASE_IS_MOOF: 0x20000 };
const TRUN = { OFFSET: 1, FIRST_FLAGS: 4, DURATION: 0x100, SIZE: 0x200, FLAGS: 0x400, SHIFT: 0x800 };
const IS_NOT_SYNC = 0x10000;

/** Adds the samples of fragments to those of their tracks. */
export class FragmentReader {
  private readonly defaults: ReadonlyMap<number, Defaults>;
  private readonly nextTime = new Map<number, number>();

  /** @param tracks by track id; samples of other tracks are passed over. */
  constructor(
    moov: ISOFile['moov'],
    private readonly tracks: ReadonlyMap<number, RawSamples>,
  ) {
    const trexs = (moov.mvex?.trexs ?? []) as unknown as Defaults[];
    this.defaults = new Map(trexs.map((trex) => [trex.track_id, trex]));
  }

  /** @param start byte offset of the `moof` in the file. @throws RangeError, TypeError for a damaged one. */
  add(box: Box, start: number): void {
    let implicitBase = start;
    for (const { tfhd, tfdt, truns = [] } of (box as Moof).trafs ?? []) {
      const raw = this.tracks.get(tfhd.track_id);
      const trex = this.defaults.get(tfhd.track_id);
      const usual = {
        duration: (tfhd.flags & TFHD.DURATION ? tfhd : trex)?.default_sample_duration ?? 0,
        size: (tfhd.flags & TFHD.SIZE ? tfhd : trex)?.default_sample_size ?? 0,
        flags: (tfhd.flags & TFHD.FLAGS ? tfhd : trex)?.default_sample_flags ?? 0,
      };
      const ownBase = tfhd.flags & TFHD.BASE_OFFSET ? tfhd.base_data_offset : undefined;
      const base = ownBase ?? (tfhd.flags & TFHD.BASE_IS_MOOF ? start : implicitBase);
      let dts = tfdt?.baseMediaDecodeTime ?? this.nextTime.get(tfhd.track_id) ?? 0;
      let offset = base;
      for (const trun of truns) {
        if (trun.flags & TRUN.OFFSET) offset = base + trun.data_offset;
        raw?.reserve(trun.sample_count);
        for (let i = 0; i < trun.sample_count; i++) {
          const size = trun.flags & TRUN.SIZE ? trun.sample_size[i]! : usual.size;
          const duration = trun.flags & TRUN.DURATION ? trun.sample_duration[i]! : usual.duration;
          // Signed also in boxes of version 0, where the standard has it unsigned.
          const shift = trun.flags & TRUN.SHIFT ? trun.sample_composition_time_offset[i]! | 0 : 0;
          let flags = usual.flags;
          if (trun.flags & TRUN.FLAGS) flags = trun.sample_flags[i]!;
          else if (i === 0 && trun.flags & TRUN.FIRST_FLAGS) flags = trun.first_sample_flags;
          raw?.add(offset, size, dts + shift, duration, !(flags & IS_NOT_SYNC));
          offset += size;
          dts += duration;
        }
      }
      this.nextTime.set(tfhd.track_id, dts);
      implicitBase = offset;
    }
  }
}
