import {
  type EncodedPacket,
  EncodedPacketSink,
  Input,
  type InputVideoTrack,
  MATROSKA,
  WEBM,
} from 'mediabunny';
import { type ColourTags, colourTags, mergeTags, VP8_TAGS } from './colour';
import { VideoError } from './errors';
import { readH264Colour } from './h264-vui';
import { MatroskaSource } from './matroska-source';
import { PacketReader } from './packet-reader';
import { RawSamples } from './raw-samples';
import { buildSampleTable, type SampleTable } from './sample-table';
import { shownSize } from './shown-size';
import { checkSize, cutOff, GET_AGAIN, withoutFrames, withoutVideo } from './track-errors';
import { unsupportedCodec } from './unsupported-codec';
import type { OpenOptions, VideoFile } from './video-file';

/** Matroska has times in nanoseconds, mostly rounded to milliseconds; here they are microseconds. */
const TIMESCALE = 1e6;

/**
 * Opens a WebM or Matroska file. It has no table of samples, so the whole file is scanned, cluster by cluster, of which
 * only one is in memory. Frames are read again when they are decoded. A file that was cut off opens with `truncation`.
 * @throws VideoError as `openVideo`; the signal's reason when aborted.
 */
export async function openMatroska(
  file: Blob,
  name: string,
  { onProgress, signal }: OpenOptions = {},
): Promise<VideoFile> {
  const source = await MatroskaSource.create(file, signal);
  const input = new Input({ source: source.source, formats: [MATROSKA, WEBM] });
  try {
    const track = await input.getPrimaryVideoTrack();
    if (!track) throw withoutVideo(name, (await input.getAudioTracks()).length > 0);
    return await readTrack(file, name, track, source, (position) => {
      signal?.throwIfAborted();
      onProgress?.(Math.min(position, file.size), file.size);
    });
  } catch (cause) {
    input.dispose();
    if (cause instanceof VideoError || signal?.aborted) throw cause;
    throw new VideoError('corrupt', `${name} is damaged: its frames cannot be listed.`, GET_AGAIN, { cause });
  } finally {
    source.opened();
  }
}

async function readTrack(
  file: Blob,
  name: string,
  track: InputVideoTrack,
  source: MatroskaSource,
  onPosition: (bytes: number) => void,
): Promise<VideoFile> {
  const [codedWidth, codedHeight] = [await track.getCodedWidth(), await track.getCodedHeight()];
  checkSize(name, codedWidth, codedHeight);
  const { codec, ...stream } = await readStream(track, name);
  const sink = new EncodedPacketSink(track);
  const { table, seconds } = await scan(sink, codec, source, onPosition);
  const cutShort = source.cutShort || source.stalled;
  const declaredSeconds = Math.max(seconds, (await track.getDurationFromMetadata()) ?? 0);
  if (!table.frames.length) throw cutShort ? cutOff(name, declaredSeconds) : withoutFrames(name);
  const rotation = await track.getRotation();
  const square = [await track.getSquarePixelWidth(), await track.getSquarePixelHeight()] as const;
  const stretch = (square[0] / square[1]) * (codedHeight / codedWidth);
  const [width, height] = shownSize(codedWidth, codedHeight, stretch, rotation);
  return {
    file,
    name,
    width,
    height,
    codedWidth,
    codedHeight,
    rotation,
    durationSeconds: seconds,
    frameCount: table.frames.length,
    frames: table.frames,
    samples: table.samples,
    codec,
    ...stream,
    truncation: cutShort ? { declaredSeconds, readableSeconds: seconds } : undefined,
    openReader: () => new PacketReader(name, sink, table.samples, source),
  };
}

type Stream = Pick<VideoFile, 'codec' | 'description' | 'colour' | 'colourIsFinal'>;

async function readStream(track: InputVideoTrack, name: string): Promise<Stream> {
  const config = (await track.getCodec()) && (await track.getDecoderConfig());
  if (!config) throw unsupportedCodec(name, String((await track.getInternalCodecId()) ?? 'of its video'));
  const { codec, colorSpace } = config;
  const given = config.description as Uint8Array | undefined;
  const description = given?.slice();
  let container: ColourTags = colorSpace ? colourTags(colorSpace) : {};
  let own: ColourTags | undefined;
  if (codec === 'vp8') own = VP8_TAGS;
  else if (codec.startsWith('vp09')) {
    // FFmpeg goes by a VP9 stream alone, also where that says nothing.
    own = vp9Tags(codec);
    container = {};
  } else if (codec.startsWith('avc') && description) own = readH264Colour(description);
  return { codec, description, colour: mergeTags(own, container), colourIsFinal: own !== undefined };
}

/** The stream's own tags from a VP9 codec string, whose fields are left out where all of them are BT.709's. */
function vp9Tags(codec: string): ColourTags {
  const [, , , , , , , matrix, range] = codec.split('.');
  return { matrix: matrix === undefined ? 1 : Number(matrix), fullRange: range === '01' };
}

/** Lists the packets of a track. `onPosition` hears of each where in the file it is, to the cluster. */
async function scan(
  sink: EncodedPacketSink,
  codec: string,
  source: MatroskaSource,
  onPosition: (bytes: number) => void,
): Promise<{ table: SampleTable; seconds: number }> {
  const raw = new RawSamples();
  const hidden = new Set<number>();
  let first = Number.POSITIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  let lastDuration = 0;
  for (let packet = await sink.getFirstPacket(); packet; packet = await following(sink, packet, source)) {
    onPosition(packet.sequenceNumber);
    const time = Math.round(packet.timestamp * TIMESCALE);
    // A frame of VP8 says in its first byte whether it is shown; other codecs pack such frames into shown ones.
    if (codec === 'vp8' && !(packet.data[0]! & 0x10)) hidden.add(raw.length);
    raw.add(packet.sequenceNumber, packet.byteLength, time, 0, packet.type === 'key');
    first = Math.min(first, packet.timestamp);
    if (packet.timestamp >= last) {
      last = packet.timestamp;
      lastDuration = packet.duration;
    }
  }
  // The last packet of a cut-off file may end in the zeros that stand for what is missing.
  const count = source.cutShort ? Math.max(0, raw.length - 1) : raw.length;
  const isHidden = (sample: number) => hidden.has(sample);
  // Players begin at 0, or at the first frame where that is earlier.
  const edits = first < 0 ? undefined : [{ media_time: 0, segment_duration: 0 }];
  const options = { edits, timescale: TIMESCALE, movieTimescale: TIMESCALE, count, isHidden };
  const table = buildSampleTable(raw, options);
  return { table, seconds: lasting(table, lastDuration) };
}

/** The packet after one; none where the demuxer cannot get past damage. */
async function following(
  sink: EncodedPacketSink,
  packet: EncodedPacket,
  source: MatroskaSource,
): Promise<EncodedPacket | null> {
  try {
    source.begin();
    const next = await sink.getNextPacket(packet);
    if (!next || next.sequenceNumber > packet.sequenceNumber) return next;
    source.stalled = true; // It gives the same packets again.
    return null;
  } catch (cause) {
    if (source.stalled) return null;
    throw cause;
  }
}

/** Seconds that frames last, from their times and the last one's duration (0: not said). */
function lasting({ frames }: SampleTable, lastDuration: number): number {
  const { times, length } = frames;
  if (!length) return 0;
  const between = times[length - 1]! - times[0]!;
  const frame = lastDuration || between / Math.max(1, length - 1);
  // Frames of one duration last a whole number of it; their rounded times say so to a millisecond or two.
  const even = frame * length;
  return Math.abs(even - between - frame) < 0.002 ? even : between + frame;
}
