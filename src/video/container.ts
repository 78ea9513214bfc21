import { createFile, type ISOFile, MP4BoxBuffer } from 'mp4box';
import { listBoxes, type TopLevelBox } from './boxes';
import { VideoError } from './errors';
import { checkFragment, keepVideoTracks } from './prepare-tables';
import { readBytes } from './read-bytes';
import { assertMp4 } from './sniff';
import { type BytesAt, describeTrack } from './track';
import type { VideoFile } from './video-file';

const AGAIN = 'Get the file again from where it came, or choose another video.';

/** Bytes of tables that are read into memory at most; a day of video has about 50 MB of them. */
const MAX_TABLE_BYTES = 512 * 2 ** 20;

/**
 * Opens an MP4 or MOV file: reads its tables through mp4box and leaves the frames' bytes where they are. Only box
 * headers, `ftyp`, `moov` and `moof` are read, wherever they stand. A file that was cut off opens with
 * `truncation` set and `frames` of the part that works.
 * @throws VideoError `empty`, `not-a-video`, `unsupported-container`, `truncated` (nothing readable), `corrupt`,
 * `no-video-track` or `unsupported-codec`.
 */
export async function openVideo(file: Blob & { name?: string }): Promise<VideoFile> {
  const name = file.name || 'The file';
  await assertMp4(file, name);
  const boxes = await listBoxes(file);
  const { iso, bytesAt, handlers } = await readTables(file, boxes, name);
  try {
    return describeTrack({ file, name, iso, bytesAt, handlers, cutShort: boxes.at(-1)?.complete === false });
  } catch (cause) {
    if (cause instanceof VideoError) throw cause;
    throw corrupt(name, cause);
  }
}

function corrupt(name: string, cause?: unknown): VideoError {
  return new VideoError('corrupt', `${name} is damaged: its table of frames cannot be read.`, AGAIN, {
    cause,
  });
}

/** Feeds mp4box everything but the media data, at the boxes' true positions, so that all offsets are the file's. */
async function readTables(
  file: Blob,
  boxes: TopLevelBox[],
  name: string,
): Promise<{ iso: ISOFile; bytesAt: BytesAt; handlers: string[] }> {
  const moov = boxes.find((box) => box.type === 'moov');
  const last = boxes.at(-1);
  if (!moov?.complete) {
    const end = last ? last.start + last.size : 0;
    if (last && end > file.size) {
      throw new VideoError(
        'truncated',
        `${name} is cut off before its table of frames, so nothing of it can be read (${file.size} of at least ${end} bytes are here).`,
        AGAIN,
      );
    }
    if (last && end === file.size)
      throw new VideoError('no-video-track', `${name} has no table of frames, so it holds no video.`, AGAIN);
    throw corrupt(name);
  }
  if (moov.size > MAX_TABLE_BYTES) throw corrupt(name);
  const iso = createFile();
  const parts: { start: number; bytes: Uint8Array<ArrayBuffer> }[] = [];
  const handlers: string[] = [];
  try {
    for (const box of boxes) {
      const needed = box.type === 'ftyp' || box.type === 'moov' || box.type === 'moof';
      if (needed && !box.complete) break;
      const end = box.start + (needed ? box.size : box.headerSize);
      if (!needed && box === last) continue;
      const bytes = await readBytes(file, box.start, end);
      // mp4box skips the contents of `mdat` only, so whatever else is not needed goes under that name.
      if (!needed) bytes.set([0x6d, 0x64, 0x61, 0x74], 4);
      if (box.type === 'moov') {
        handlers.push(...keepVideoTracks(bytes, box.headerSize, file.size));
        parts.push({ start: box.start, bytes: bytes.slice() });
      } else if (box.type === 'moof') checkFragment(bytes, box.headerSize, file.size);
      iso.appendBuffer(MP4BoxBuffer.fromArrayBuffer(bytes.buffer, box.start));
    }
    iso.flush();
  } catch (cause) {
    if (cause instanceof VideoError) throw cause;
    throw corrupt(name, cause);
  }
  if (!iso.moov) throw corrupt(name);
  const bytesAt = (start: number, end: number) => {
    const part = parts.find((p) => p.start <= start && end <= p.start + p.bytes.length);
    if (!part) throw new RangeError('A box lies outside of moov.');
    return part.bytes.slice(start - part.start, end - part.start);
  };
  return { iso, bytesAt, handlers };
}
