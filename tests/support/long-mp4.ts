import { type BoxNode, findBox, parseBoxes, sizeOf, writeBoxes } from './mp4-tree';

/** Frames of a group of pictures in the fixtures; frame i of a long clip shows the number i % 24. */
export const GROUP_FRAMES = 24;

const FRAMES_PER_SECOND = 30;
const AUDIO_RATE = 48_000;
const AUDIO_FRAME = 1024;
const MOVIE_TIMESCALE = 1000;
const AUDIO_FRAME_BYTES = 200;
/** Groups of pictures that are one part of the file; they last 16 s, in which there are whole frames of sound. */
const BLOCK_GROUPS = 20;

/** What `longMp4` makes. */
export interface LongMp4 {
  file: Blob;
  /** Bytes of `moov`. */
  tableBytes: number;
  /** Bytes of one group of pictures. */
  groupBytes: number;
  frames: number;
  audioFrames: number;
}

function words(values: readonly number[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(values.length * 4);
  const view = new DataView(out.buffer);
  for (const [i, value] of values.entries()) view.setUint32(i * 4, value);
  return out;
}

function setWord({ payload }: BoxNode, at: number, value: number): void {
  new DataView(payload.buffer, payload.byteOffset, payload.byteLength).setUint32(at, value);
}

function wordsOf({ payload }: BoxNode, from: number): number[] {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return Array.from({ length: (payload.length - from) >> 2 }, (_, i) => view.getUint32(from + i * 4));
}

/** A table of samples: version and flags, the number of entries, their numbers. */
function table(type: string, entries: number, values: readonly number[]): BoxNode {
  return { type, payload: words([0, entries, ...values]), children: undefined };
}

function repeat<T>(n: number, values: (i: number) => T[]): T[] {
  return Array.from({ length: n }, (_, i) => values(i)).flat();
}

/** The first group of pictures of moov-last.mp4, each sample filled up with a NAL unit of filler data. */
function paddedGroup(clip: Uint8Array, boxes: readonly BoxNode[], groupBytes: number) {
  const stco = wordsOf(findBox(boxes, 'stco'), 8);
  const clipSizes = wordsOf(findBox(boxes, 'stsz'), 12).slice(0, GROUP_FRAMES);
  const padding = Math.floor(groupBytes / GROUP_FRAMES);
  const sizes = clipSizes.map((size) => size + padding);
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0)).fill(0xff);
  const view = new DataView(bytes.buffer);
  let from = stco[0]!;
  let to = 0;
  for (const size of clipSizes) {
    bytes.set(clip.subarray(from, from + size), to);
    view.setUint32(to + size, padding - 4);
    bytes[to + size + 4] = 12; // nal_unit_type 12: filler data
    bytes[to + size + padding - 1] = 0x80;
    from += size;
    to += size + padding;
  }
  const shifts = runLengths(wordsOf(findBox(boxes, 'ctts'), 8)).slice(0, GROUP_FRAMES);
  return { sizes, bytes, shifts };
}

function runLengths(pairs: readonly number[]): number[] {
  return repeat(pairs.length / 2, (i) => Array<number>(pairs[2 * i]!).fill(pairs[2 * i + 1]!));
}

/**
 * A progressive file of many hours whose every frame can be decoded, and of which next to nothing is in memory: its
 * groups of pictures are all the same bytes. An audio track lies between them, and offsets take 64 bits.
 * @param clip bytes of moov-last.mp4; `sound` of sound-only.mp4.
 * @param hours length; `bytes` about how large the file is; `moovFirst` where the tables stand.
 */
export function longMp4(
  clip: Uint8Array,
  sound: Uint8Array,
  { hours, bytes, moovFirst }: { hours: number; bytes: number; moovFirst: boolean },
): LongMp4 {
  const groups = BLOCK_GROUPS * Math.round((hours * 3600 * FRAMES_PER_SECOND) / GROUP_FRAMES / BLOCK_GROUPS);
  const frames = groups * GROUP_FRAMES;
  const seconds = frames / FRAMES_PER_SECOND;
  const audioFrames = Math.floor((seconds * AUDIO_RATE) / AUDIO_FRAME);
  const audioOf = (group: number) =>
    Math.floor(((group + 1) * audioFrames) / groups) - Math.floor((group * audioFrames) / groups);

  const boxes = parseBoxes(clip);
  const group = paddedGroup(clip, boxes, bytes / groups);
  const movie = findBox(boxes, 'moov');
  const video = findBox(boxes, 'trak');
  const audio = findBox(parseBoxes(sound), 'trak');
  movie.children = [findBox(boxes, 'mvhd'), video, audio];
  setWord(findBox([movie], 'mvhd'), 16, seconds * MOVIE_TIMESCALE);
  // The clip's frames last 512 units of its timescale.
  for (const [trak, id, timescale] of [
    [video, 1, 512 * FRAMES_PER_SECOND],
    [audio, 2, AUDIO_RATE],
  ] as const) {
    setWord(findBox([trak], 'tkhd'), 12, id);
    setWord(findBox([trak], 'tkhd'), 20, seconds * MOVIE_TIMESCALE);
    setWord(findBox([trak], 'elst'), 8, seconds * MOVIE_TIMESCALE);
    setWord(findBox([trak], 'mdhd'), 12, timescale);
    setWord(findBox([trak], 'mdhd'), 16, seconds * timescale);
  }
  const groupAndAudio = (g: number) => group.bytes.length + audioOf(g) * AUDIO_FRAME_BYTES;
  const tables = (start: number) => {
    const videoAt: number[] = [];
    const audioAt: number[] = [];
    for (let g = 0, at = start; g < groups; at += groupAndAudio(g++)) {
      videoAt.push(Math.floor(at / 2 ** 32), at % 2 ** 32);
      const behind = at + group.bytes.length;
      audioAt.push(Math.floor(behind / 2 ** 32), behind % 2 ** 32);
    }
    findBox([video], 'stbl').children = [
      findBox([video], 'stsd'),
      table('stts', 1, [frames, 512]),
      table(
        'ctts',
        frames,
        repeat(groups, () => group.shifts.flatMap((shift) => [1, shift])),
      ),
      table(
        'stss',
        groups,
        repeat(groups, (g) => [g * GROUP_FRAMES + 1]),
      ),
      table('stsc', 1, [1, GROUP_FRAMES, 1]),
      table('stsz', 0, [frames, ...repeat(groups, () => group.sizes)]),
      table('co64', groups, videoAt),
    ];
    findBox([audio], 'stbl').children = [
      findBox([audio], 'stsd'),
      table('stts', 1, [audioFrames, AUDIO_FRAME]),
      table(
        'stsc',
        groups,
        repeat(groups, (g) => [g + 1, audioOf(g), 1]),
      ),
      table('stsz', 0, [audioFrames, ...Array<number>(audioFrames).fill(AUDIO_FRAME_BYTES)]),
      table('co64', groups, audioAt),
    ];
    return writeBoxes([movie]);
  };
  const head = writeBoxes([findBox(boxes, 'ftyp')]);
  tables(0); // Their size does not depend on where the media data stands.
  const tableBytes = sizeOf(movie);
  const moov = tables(head.length + (moovFirst ? tableBytes : 0) + 16);
  // A blob of fewer and larger parts is composed and read sooner.
  const blocks = groups / BLOCK_GROUPS;
  const block = new Uint8Array(
    repeat(BLOCK_GROUPS, (g) => [groupAndAudio(g)]).reduce((sum, n) => sum + n, 0),
  );
  for (let g = 0, at = 0; g < BLOCK_GROUPS; at += groupAndAudio(g++)) block.set(group.bytes, at);
  const mediaBytes = 16 + blocks * block.length;
  const media = [
    words([1, 0x6d646174, Math.floor(mediaBytes / 2 ** 32), mediaBytes % 2 ** 32]),
    ...Array<Blob>(blocks).fill(new Blob([block])),
  ];
  const file = new Blob(moovFirst ? [head, moov, ...media] : [head, ...media, moov]);
  return { file, tableBytes, groupBytes: group.bytes.length, frames, audioFrames };
}

/**
 * A fragmented file: the first fragment of fragmented.mov again and again, each with its own time. Frame i shows the
 * number i % 24.
 */
export function manyFragments(clip: Uint8Array, fragments: number): Blob {
  const boxes = parseBoxes(clip);
  const head = writeBoxes([findBox(boxes, 'ftyp'), findBox(boxes, 'moov')]);
  const moof = findBox(boxes, 'moof');
  const media = writeBoxes([findBox(boxes, 'mdat')]);
  const size = sizeOf(moof) + media.length;
  const out = new Uint8Array(head.length + fragments * size);
  out.set(head);
  for (let i = 0; i < fragments; i++) {
    const ticks = i * GROUP_FRAMES * 512;
    setWord(findBox([moof], 'mfhd'), 4, i + 1);
    setWord(findBox([moof], 'tfdt'), 4, Math.floor(ticks / 2 ** 32)); // Version 1: 64 bits.
    setWord(findBox([moof], 'tfdt'), 8, ticks % 2 ** 32);
    out.set(writeBoxes([moof]), head.length + i * size);
    out.set(media, head.length + (i + 1) * size - media.length);
  }
  return new Blob([out]);
}
