import type { Box, ISOFile, VisualSampleEntry } from 'mp4box';
import { type ColourTags, mergeTags, VP8_TAGS } from './colour';
import { VideoError } from './errors';
import { readH264Colour } from './h264-vui';
import type { Trak } from './mp4-samples';
import type { RawSamples } from './raw-samples';
import { ByteRangeReader } from './sample-reader';
import { buildSampleTable, type Edit, type SampleTable } from './sample-table';
import { shownSize } from './shown-size';
import { checkSize, cutOff, withoutFrames, withoutVideo } from './track-errors';
import { unsupportedCodec } from './unsupported-codec';
import type { Truncation, VideoFile } from './video-file';

/** What `describeTrack` needs of an opened file. */
export interface Tables {
  file: Blob;
  name: string;
  /** The parsed `moov`, whose boxes know where they start in `bytes`; with the video tracks alone. */
  moov: ISOFile['moov'];
  /** The file's own bytes of `moov`. What mp4box writes back may differ from them. */
  bytes: Uint8Array<ArrayBuffer>;
  /** Handlers of all tracks, e.g. ['vide', 'soun']. */
  handlers: readonly string[];
  /** Samples of the video tracks, by track id. */
  samples: ReadonlyMap<number, RawSamples>;
  /** True where samples came in fragments. */
  fragmented: boolean;
  /** True where the last top-level box reaches beyond the end of the file. */
  cutShort: boolean;
}

/**
 * Makes a `VideoFile` of the first video track.
 * @throws VideoError `no-video-track`, `unsupported-codec`, `truncated` or `corrupt`.
 */
export function describeTrack(tables: Tables): VideoFile {
  const { file, name, moov, bytes, handlers, samples } = tables;
  const trak = moov.traks.find((candidate) => samples.get(candidate.tkhd.track_id)?.length);
  if (!trak) {
    if (samples.size) throw withoutFrames(name);
    throw withoutVideo(name, handlers.includes('soun'));
  }
  const entry = trak.mdia.minf.stbl.stsd.entries[0] as VisualSampleEntry;
  const stream = readStream(entry, name, bytes);
  checkSize(name, entry.width, entry.height);
  const { table, truncation } = readSamples(tables, trak);
  const rotation = readRotation(trak.tkhd.matrix);
  const pasp = child(entry, 'pasp') as { hSpacing: number; vSpacing: number } | undefined;
  const stretch = pasp ? pasp.hSpacing / pasp.vSpacing : 1;
  const [width, height] = shownSize(entry.width, entry.height, stretch, rotation);
  return {
    file,
    name,
    width,
    height,
    codedWidth: entry.width,
    codedHeight: entry.height,
    rotation,
    durationSeconds: table.seconds,
    frameCount: table.frames.length,
    frames: table.frames,
    samples: table.samples,
    ...stream,
    truncation,
    openReader: () => new ByteRangeReader(file, table.samples),
  };
}

function child(entry: VisualSampleEntry, type: string): Box | undefined {
  return entry.boxes?.find((box) => box.type === type);
}

type Stream = Pick<VideoFile, 'codec' | 'description' | 'colour' | 'colourIsFinal'>;

function readStream(entry: VisualSampleEntry, name: string, bytes: Uint8Array<ArrayBuffer>): Stream {
  const payload = (type: string) => {
    const box = child(entry, type);
    return box && bytes.slice(box.start! + box.hdr_size!, box.start! + box.size);
  };
  const container = readColr(payload('colr'));
  switch (entry.type) {
    case 'avc1':
    case 'avc3': {
      const description = payload('avcC');
      if (!description) throw new Error('avcC is missing');
      const own = readH264Colour(description);
      const colour = mergeTags(own, container);
      return { codec: entry.getCodec(), description, colour, colourIsFinal: own !== undefined };
    }
    case 'hvc1':
    case 'hev1': {
      const description = payload('hvcC');
      if (!description) throw new Error('hvcC is missing');
      return { codec: entry.getCodec(), description, colour: mergeTags(container), colourIsFinal: false };
    }
    case 'vp08':
      return {
        codec: entry.getCodec(),
        description: undefined,
        colour: VP8_TAGS,
        colourIsFinal: true,
      };
    case 'vp09':
    case 'av01':
      return {
        codec: entry.getCodec(),
        description: undefined,
        colour: mergeTags(container, readVpcc(entry)),
        colourIsFinal: false,
      };
    case 'encv':
      throw new VideoError('unsupported-codec', `${name} is protected (DRM).`, 'Choose another video.');
    default:
      throw unsupportedCodec(name, entry.type);
  }
}

/** `colr` of kind 'nclx' (ISO) or 'nclc' (QuickTime, without a range); other kinds say nothing here. */
function readColr(bytes: Uint8Array | undefined): ColourTags | undefined {
  if (!bytes || bytes.length < 10) return undefined;
  const kind = String.fromCharCode(...bytes.subarray(0, 4));
  if (kind !== 'nclx' && kind !== 'nclc') return undefined;
  const matrix = bytes[8]! * 256 + bytes[9]!;
  return kind === 'nclx' && bytes.length > 10 ? { matrix, fullRange: bytes[10]! >= 128 } : { matrix };
}

function readVpcc(entry: VisualSampleEntry): ColourTags | undefined {
  const box = entry.vpcC;
  if (box?.matrixCoefficients === undefined) return undefined;
  return { matrix: box.matrixCoefficients, fullRange: box.videoFullRangeFlag === 1 };
}

/** Clockwise turn of a track header's matrix, to the nearest quarter. */
function readRotation(matrix: ArrayLike<number>): 0 | 90 | 180 | 270 {
  const quarter = Math.round(Math.atan2(matrix[1] ?? 0, matrix[0] ?? 1) / (Math.PI / 2));
  return ([0, 90, 180, 270] as const)[((quarter % 4) + 4) % 4]!;
}

function readSamples(
  { file, name, moov, samples, fragmented, cutShort }: Tables,
  trak: Trak,
): { table: SampleTable; truncation: Truncation | undefined } {
  const raw = samples.get(trak.tkhd.track_id)!;
  const options = {
    edits: trak.edts?.elst?.entries as Edit[] | undefined,
    timescale: trak.mdia.mdhd.timescale,
    movieTimescale: moov.mvhd.timescale,
  };
  const whole = buildSampleTable(raw, options);
  if (!whole.frames.length) throw withoutFrames(name);
  const inside = (offset: number, i: number) => offset >= 0 && offset + raw.sizes[i]! <= file.size;
  const missing = whole.samples.positions.findIndex((offset, i) => !inside(offset, i));
  if (missing < 0 && !(cutShort && fragmented)) return { table: whole, truncation: undefined };
  const table = missing < 0 ? whole : buildSampleTable(raw, { ...options, count: missing });
  const declaredSeconds = Math.max(whole.seconds, fragmentSeconds(moov));
  if (!table.frames.length) throw cutOff(name, declaredSeconds);
  return { table, truncation: { declaredSeconds, readableSeconds: table.seconds } };
}

function fragmentSeconds(moov: ISOFile['moov']): number {
  const mehd = moov.mvex?.mehd;
  return mehd ? mehd.fragment_duration / moov.mvhd.timescale : 0;
}
