import { ISOFile, MP4BoxBuffer } from 'mp4box';
import { type TopLevelBox, walkBoxes } from './boxes';
import { VideoError } from './errors';
import { FragmentReader, readTrackSamples } from './mp4-samples';
import { describeTrack, type Tables } from './mp4-track';
import { checkFragment, keepVideoTracks } from './prepare-tables';
import type { RawSamples } from './raw-samples';
import { WindowReader } from './read-bytes';
import { GET_AGAIN } from './track-errors';
import type { OpenOptions, VideoFile } from './video-file';

/** Bytes of tables that are read into memory at most; a day of video has about 50 MB of them. */
const MAX_TABLE_BYTES = 512 * 2 ** 20;

/** mp4box without its own lists of samples, which take some 500 bytes for each. */
class TableFile extends ISOFile {
  override buildSampleLists(): void {}
  override updateSampleLists(): void {}
}

/**
 * Opens an MP4 or MOV file: `moov` is parsed by mp4box as a whole, fragments (`moof`) one after the other; the frames'
 * bytes stay where they are. A file that was cut off opens with `truncation` set and `frames` of the part that works.
 * @throws VideoError `truncated` (nothing readable), `corrupt`, `no-video-track` or `unsupported-codec`; the signal's
 * reason when aborted.
 */
export async function openMp4(file: Blob, name: string, options: OpenOptions = {}): Promise<VideoFile> {
  const tables = await readTables(file, name, options);
  try {
    return describeTrack(tables);
  } catch (cause) {
    if (cause instanceof VideoError) throw cause;
    throw corrupt(name, cause);
  }
}

function corrupt(name: string, cause?: unknown): VideoError {
  return new VideoError('corrupt', `${name} is damaged: its table of frames cannot be read.`, GET_AGAIN, {
    cause,
  });
}

async function readTables(file: Blob, name: string, { onProgress, signal }: OpenOptions): Promise<Tables> {
  const reader = new WindowReader(file);
  let movie: Omit<Tables, 'file' | 'name' | 'fragmented' | 'cutShort'> | undefined;
  let fragments: FragmentReader | undefined;
  let fragmented = false;
  let last: TopLevelBox | undefined;
  try {
    for await (const box of walkBoxes(reader)) {
      last = box;
      signal?.throwIfAborted();
      onProgress?.(box.start, file.size);
      if (!box.complete || (box.type !== 'moov' && box.type !== 'moof')) continue;
      if (box.size > MAX_TABLE_BYTES) throw new RangeError(`The table has ${box.size} bytes.`);
      if (box.type === 'moov' && !movie) {
        movie = parseMovie(await reader.read(box.start, box.start + box.size), box.headerSize, file.size);
        fragments = new FragmentReader(movie.moov, movie.samples);
      } else if (box.type === 'moof') {
        // Fragments stand behind `moov`; one before it belongs to nothing that is known.
        if (!fragments) throw new RangeError('A fragment comes before the tables.');
        const bytes = await reader.read(box.start, box.start + box.size);
        checkFragment(bytes, box.headerSize, file.size);
        fragments.add(parseBoxes(bytes).moofs[0]!, box.start);
        fragmented = true;
      }
    }
  } catch (cause) {
    if (cause instanceof VideoError || signal?.aborted) throw cause;
    throw corrupt(name, cause);
  }
  if (!movie) throw noTables(file, name, last);
  return { file, name, ...movie, fragmented, cutShort: last?.complete === false };
}

function parseBoxes(bytes: Uint8Array<ArrayBuffer>): ISOFile {
  const iso = new TableFile();
  iso.appendBuffer(MP4BoxBuffer.fromArrayBuffer(bytes.buffer, 0));
  return iso;
}

function parseMovie(bytes: Uint8Array<ArrayBuffer>, headerSize: number, fileSize: number) {
  const handlers = keepVideoTracks(bytes, headerSize, fileSize);
  const { moov } = parseBoxes(bytes);
  if (!moov) throw new Error('The tables cannot be parsed.');
  moov.traks ??= [];
  const samples = new Map<number, RawSamples>();
  for (const trak of moov.traks) samples.set(trak.tkhd.track_id, readTrackSamples(trak));
  return { moov, bytes, handlers, samples };
}

function noTables(file: Blob, name: string, last: TopLevelBox | undefined): VideoError {
  const end = last ? last.start + last.size : 0;
  if (last && end > file.size) {
    return new VideoError(
      'truncated',
      `${name} is cut off before its table of frames, so nothing of it can be read (${file.size} of at least ${end} bytes are here).`,
      GET_AGAIN,
    );
  }
  if (last && end === file.size)
    return new VideoError(
      'no-video-track',
      `${name} has no table of frames, so it holds no video.`,
      GET_AGAIN,
    );
  return corrupt(name);
}
