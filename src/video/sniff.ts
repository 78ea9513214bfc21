import { VideoError } from './errors';
import { readBytes } from './read-bytes';

const BOXES_AT_START = new Set([
  'ftyp',
  'styp',
  'moov',
  'mdat',
  'free',
  'skip',
  'wide',
  'pnot',
  'uuid',
  'moof',
]);

const USE_MP4 = 'Convert it to MP4 with H.264 and drop it again.';

/** The first bytes of a WebM or Matroska file: an EBML header. */
const EBML = '\x1a\x45\xdf\xa3';

/** Kinds of file that people drop, by their first bytes. `video` ones only lack a reader here. */
const OTHERS: { name: string; video: boolean; at: number; magic: string }[] = [
  { name: 'an AVI file', video: true, at: 8, magic: 'AVI ' },
  { name: 'a Flash video (FLV)', video: true, at: 0, magic: 'FLV\x01' },
  { name: 'an Ogg file', video: true, at: 0, magic: 'OggS' },
  { name: 'a Windows Media file', video: true, at: 0, magic: '\x30\x26\xb2\x75' },
  { name: 'an MPEG program stream', video: true, at: 0, magic: '\x00\x00\x01\xba' },
  { name: 'a PNG picture', video: false, at: 0, magic: '\x89PNG' },
  { name: 'a JPEG picture', video: false, at: 0, magic: '\xff\xd8\xff' },
  { name: 'a GIF picture', video: false, at: 0, magic: 'GIF8' },
  { name: 'a WebP picture', video: false, at: 8, magic: 'WEBP' },
  { name: 'a PDF document', video: false, at: 0, magic: '%PDF' },
  { name: 'a ZIP archive', video: false, at: 0, magic: 'PK\x03\x04' },
];

/** Families of files that can be read. */
export type Container = 'mp4' | 'matroska';

/**
 * Looks at the first bytes of a file: 'mp4' where they can begin an MP4 or MOV, 'matroska' for WebM and MKV.
 * @throws VideoError `empty`, `unsupported-container` or `not-a-video`, naming what the file seems to be.
 */
export async function sniffContainer(file: Blob, name: string): Promise<Container> {
  if (file.size === 0)
    throw new VideoError('empty', `${name} is empty (0 bytes).`, 'Choose the file again, or another video.');
  const head = String.fromCharCode(...(await readBytes(file, 0, 16)));
  if (BOXES_AT_START.has(head.slice(4, 8))) return 'mp4';
  if (head.startsWith(EBML)) return 'matroska';
  const known = OTHERS.find(({ at, magic }) => head.startsWith(magic, at));
  if (known?.video) {
    throw new VideoError(
      'unsupported-container',
      `${name} is ${known.name}. MP4, MOV, WebM and MKV files can be read.`,
      USE_MP4,
    );
  }
  throw new VideoError(
    'not-a-video',
    known ? `${name} is ${known.name}, not a video.` : `${name} is not a video that can be read here.`,
    'Choose an MP4, MOV, WebM or MKV file.',
  );
}
