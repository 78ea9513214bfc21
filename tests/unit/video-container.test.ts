import { readFile } from 'node:fs/promises';
import { describe, expect, it, vi } from 'vitest';
import { type TopLevelBox, walkBoxes } from '../../src/video/boxes';
import { openVideo } from '../../src/video/container';
import { VideoError } from '../../src/video/errors';
import { WindowReader } from '../../src/video/read-bytes';

const folder = new URL('../fixtures/video/', import.meta.url);

async function bytesOf(name: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await readFile(new URL(name, folder)));
}

async function clip(name: string): Promise<File> {
  return new File([await bytesOf(name)], name);
}

async function listBoxes(file: Blob): Promise<TopLevelBox[]> {
  const boxes: TopLevelBox[] = [];
  for await (const box of walkBoxes(new WindowReader(file))) boxes.push(box);
  return boxes;
}

async function failure(file: Blob): Promise<VideoError> {
  const error = await openVideo(file).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(VideoError);
  return error as VideoError;
}

/** A Blob that counts what is read of it. */
class CountingFile extends File {
  bytesRead = 0;
  override slice(start = 0, end = this.size, type?: string): Blob {
    this.bytesRead += Math.min(end, this.size) - start;
    return super.slice(start, end, type);
  }
}

async function table(name: string): Promise<{ name: string; numbers: number[] }[]> {
  const text = await readFile(new URL(name, folder), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [clip, ...numbers] = line.split(/ +/);
      return { name: clip!, numbers: numbers.map(Number) };
    });
}

/** Numbers of the frames that FFmpeg shows, and for some clips their times in seconds. */
const shown = await table('numbers.txt');
const times = new Map((await table('times.txt')).map(({ name, numbers }) => [name, numbers]));

/** Sizes as shown, and rotations, of clips that are not 128 x 36 and upright. */
const SHAPES: Record<string, [width: number, height: number, rotation: number]> = {
  'rotated.mp4': [36, 128, 270],
  'rotated-180.mp4': [128, 36, 180],
  'rotated-270.mp4': [36, 128, 90],
  'rotated.mkv': [36, 128, 90],
  'wide-pixels.mp4': [256, 36, 0],
  'wide-pixels.mkv': [256, 36, 0],
  'odd-size.webm': [127, 35, 0],
};

describe('walkBoxes', () => {
  it('finds the top-level boxes', async () => {
    const boxes = await listBoxes(await clip('moov-last.mp4'));
    expect(boxes.map((box) => box.type)).toEqual(['ftyp', 'free', 'mdat', 'moov']);
    expect(boxes.every((box) => box.complete)).toBe(true);
    expect(boxes.at(-1)!.start + boxes.at(-1)!.size).toBe((await clip('moov-last.mp4')).size);
  });

  it('reads 64-bit sizes and sizes up to the end of the file', async () => {
    const large = new Uint8Array(24);
    large.set([0, 0, 0, 1, 0x6d, 0x64, 0x61, 0x74, 0, 0, 0, 0, 0, 0, 0, 24]);
    const rest = new Uint8Array([0, 0, 0, 0, 0x66, 0x72, 0x65, 0x65, 1, 2, 3]);
    expect(await listBoxes(new Blob([large, rest]))).toMatchObject([
      { type: 'mdat', headerSize: 16, size: 24, complete: true },
      { type: 'free', headerSize: 8, size: 11, complete: true },
    ]);
  });
});

describe('openVideo', () => {
  it.each(shown)('$name: as many frames as FFmpeg shows, when it shows them', async ({ name, numbers }) => {
    const video = await openVideo(await clip(name));
    expect(video.frameCount).toBe(numbers.length);
    if (name.startsWith('uneven')) expect(video.durationSeconds).toBeCloseTo(2.6, 1);
    else expect(video.durationSeconds).toBeCloseTo(numbers.length / 24, 2);
    expect(video.truncation).toBeUndefined();
    expect([video.width, video.height, video.rotation]).toEqual(SHAPES[name] ?? [128, 36, 0]);
    expect(video.frames.times.toSorted()).toEqual(video.frames.times);
    const expected = times.get(name);
    if (!expected) expect(video.frames.times[0]).toBeCloseTo(0, 1);
    else for (const [i, time] of expected.entries()) expect(video.frames.times[i]).toBeCloseTo(time, 5);
  });

  it('takes the decoder description from the bytes of the file', async () => {
    for (const [name, box] of [
      ['moov-last.mp4', 'avcC'],
      ['hevc.mp4', 'hvcC'],
    ] as const) {
      const file = Buffer.from(await bytesOf(name));
      const start = file.indexOf(box) + 4;
      const end = start - 8 + file.readUInt32BE(start - 8);
      const video = await openVideo(await clip(name));
      expect(Buffer.from(video.description!)).toEqual(file.subarray(start, end));
    }
  });

  it('names codecs as WebCodecs does', async () => {
    expect((await openVideo(await clip('moov-last.mp4'))).codec).toMatch(/^avc1\.6400[0-9a-f]{2}$/);
    expect((await openVideo(await clip('vp9.mp4'))).codec).toMatch(/^vp09\.00\.\d\d\.08/);
    expect((await openVideo(await clip('av1.mp4'))).codec).toMatch(/^av01\.0\.\d\dM\.08$/);
    expect((await openVideo(await clip('hevc.mp4'))).codec).toMatch(/^hvc1\.1\./);
    expect((await openVideo(await clip('hevc.mkv'))).codec).toMatch(/^h[ev][cv]1\.1\./);
    expect((await openVideo(await clip('vp8.webm'))).codec).toBe('vp8');
    expect((await openVideo(await clip('b-frames.mkv'))).codec).toMatch(/^avc1\.6400[0-9a-f]{2}$/);
    expect((await openVideo(await clip('colour-vp9-10bit.webm'))).codec).toMatch(/^vp09\.02\.\d\d\.10/);
  });

  it.each([
    ['colour-untagged.mp4', {}],
    ['colour-bt709.mp4', { matrix: 1, fullRange: false }],
    ['colour-bt709-full.mp4', { matrix: 1, fullRange: true }],
    ['colour-smpte170m.mp4', { matrix: 6, fullRange: false }],
    ['colour-bt709-full.mkv', { matrix: 1, fullRange: true }],
    ['colour-vp8-bt709.webm', { matrix: 6, fullRange: false }], // VP8 is BT.601, whatever its container says.
    ['colour-vp9-tagged.webm', { fullRange: false }], // What a VP9 stream does not say is not said.
    ['colour-vp9-10bit.webm', { matrix: 1, fullRange: false }],
  ])('%s: colour tags of stream and container', async (name, colour) => {
    const video = await openVideo(await clip(name));
    expect(video.colour).toEqual(colour);
    expect(video.colourIsFinal).toBe(true);
  });

  it('reads the tables and not the frames', async () => {
    const bytes = await bytesOf('moov-last.mp4');
    const moov = (await listBoxes(new Blob([bytes]))).find((box) => box.type === 'moov')!;
    const media = new Uint8Array(10 * 2 ** 20);
    new DataView(media.buffer).setUint32(0, media.length);
    media.set(new TextEncoder().encode('mdat'), 4);
    const parts = [bytes.subarray(0, moov.start), media, bytes.subarray(moov.start)];
    const file = new CountingFile(parts, 'moov-last.mp4');
    const video = await openVideo(file);
    expect(video.frameCount).toBe(60);
    expect(file.bytesRead).toBeLessThan(3 * 2 ** 16); // A window of 64 KB before the media data, and one behind.
  });

  it('opens what is left of a truncated file, and says how much that is', async () => {
    const bytes = await bytesOf('faststart.mp4');
    const video = await openVideo(new File([bytes.subarray(0, bytes.length - 500)], 'cut.mp4'));
    expect(video.truncation!.declaredSeconds).toBeCloseTo(2.5, 3);
    expect(video.truncation!.readableSeconds).toBeLessThan(2.4);
    expect(video.truncation!.readableSeconds).toBe(video.durationSeconds);
    const { positions, sizes } = video.samples;
    for (const [i, offset] of positions.entries())
      expect(offset + sizes[i]!).toBeLessThanOrEqual(bytes.length - 500);
    expect(video.frameCount).toBeGreaterThan(0);
    expect(video.frameCount).toBeLessThan(60);
  });

  it('opens a truncated fragmented file', async () => {
    const bytes = await bytesOf('fragmented.mp4');
    const video = await openVideo(new File([bytes.subarray(0, 2600)], 'cut.mp4'));
    expect(video.truncation).toBeDefined();
    expect(video.frameCount).toBeGreaterThan(0);
    expect(video.frameCount).toBeLessThan(60);
  });

  it('refuses a file that is cut off before its tables', async () => {
    const bytes = await bytesOf('moov-last.mp4');
    const error = await failure(new File([bytes.subarray(0, 1500)], 'cut.mp4'));
    expect(error.code).toBe('truncated');
    expect(error.message).toContain('cut.mp4 is cut off before its table of frames');
  });

  it('refuses a file with tables and no frames', async () => {
    const bytes = await bytesOf('faststart.mp4');
    const moov = (await listBoxes(new Blob([bytes]))).find((box) => box.type === 'moov')!;
    const error = await failure(new File([bytes.subarray(0, moov.start + moov.size + 20)], 'cut.mp4'));
    expect(error.code).toBe('truncated');
    expect(error.message).toContain('says it lasts 2.5 s, but none of its frames can be read');
  });

  it.each([
    ['empty', new Uint8Array(0), 'empty (0 bytes)'],
    ['not-a-video', new TextEncoder().encode('id,question,answer\n1,what moves,A\n'), 'is not a video'],
    ['not-a-video', new Uint8Array([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0, 0]), 'a PNG picture'],
    ['unsupported-container', new TextEncoder().encode('FLV\x01_____________'), 'MP4, MOV, WebM and MKV'],
    ['corrupt', new Uint8Array([0x1a, 0x45, 0xdf, 0xa3, 1, 2, 3, 4]), 'is damaged'],
  ])('refuses other files: %s', async (code, bytes, text) => {
    const error = await failure(new File([bytes], 'x.bin'));
    expect(error.code).toBe(code);
    expect(error.message).toContain(text);
    expect(error.hint).toBeTruthy();
  });

  it.each(['sound-only.mp4', 'sound-only.webm'])('refuses a file without video: %s', async (name) => {
    const error = await failure(await clip(name));
    expect(error.code).toBe('no-video-track');
    expect(error.message).toContain('only sound');
  });

  it.each(['fragmented.mp4', 'live.mkv'])(
    '%s: scanned with progress, until it is told to stop',
    async (name) => {
      const bytes = await bytesOf(name);
      const seen: number[] = [];
      const onProgress = (done: number, total: number) => {
        expect(total).toBe(bytes.length);
        seen.push(done);
      };
      await openVideo(new File([bytes], name), { onProgress });
      expect(seen.length).toBeGreaterThan(3);
      expect(seen.toSorted((a, b) => a - b)).toEqual(seen);
      expect(seen.at(-1)).toBeGreaterThan(bytes.length / 2);
      const stop = new AbortController();
      const reason = new Error('told to stop');
      const stopped = openVideo(new File([bytes], name), {
        onProgress: (done) => done > 0 && stop.abort(reason),
        signal: stop.signal,
      });
      await expect(stopped).rejects.toBe(reason);
    },
  );

  it.each(['vp8.webm', 'b-frames.mkv'])('%s: opens what is left of a truncated file', async (name) => {
    const bytes = await bytesOf(name);
    const whole = await openVideo(new File([bytes], name));
    const video = await openVideo(new File([bytes.subarray(0, bytes.length * 0.6)], name));
    expect(video.truncation!.declaredSeconds).toBeCloseTo(2.5, 1);
    expect(video.truncation!.readableSeconds).toBe(video.durationSeconds);
    expect(video.frameCount).toBeGreaterThan(15);
    expect(video.frameCount).toBeLessThan(45);
    // Every sample that is left is whole.
    expect(video.samples.sizes).toEqual(whole.samples.sizes.slice(0, video.samples.length));
    const head = await failure(new File([bytes.subarray(0, 300)], name));
    expect(['truncated', 'corrupt', 'no-video-track']).toContain(head.code);
  });

  it('ends at damage in a Matroska file behind which nothing is found', async () => {
    const bytes = await bytesOf('live.mkv');
    bytes.fill(0, bytes.length * 0.6);
    const video = await openVideo(new File([bytes], 'damaged.mkv'));
    expect(video.frameCount).toBeGreaterThan(10);
    expect(video.frameCount).toBeLessThan(45);
  });

  it('does not go in circles in a damaged Matroska file', async () => {
    const bytes = await bytesOf('av1.webm');
    bytes.fill(0, 157, 177).fill(0, 343, 363); // The demuxer alone would never come back from this.
    expect((await failure(new File([bytes], 'damaged.webm'))).code).toBe('corrupt');
  });

  it('turns damage of a Matroska header into a sentence', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {});
    let refused = 0;
    for (let at = 0; at < 420; at += 9) {
      const bytes = await bytesOf('b-frames.mkv');
      const error = await openVideo(new File([bytes.fill(0xff, at, at + 4)], 'broken.mkv')).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      if (error === undefined) continue;
      refused++;
      expect(error).toBeInstanceOf(VideoError);
    }
    vi.restoreAllMocks();
    expect(refused).toBeGreaterThan(10);
  });

  it('turns every damage of the tables into a sentence', async () => {
    const bytes = await bytesOf('faststart.mp4');
    const moov = (await listBoxes(new Blob([bytes]))).find((box) => box.type === 'moov')!;
    vi.spyOn(console, 'error').mockImplementation(() => {}); // The parser prints what it finds.
    let refused = 0;
    for (let at = moov.start + 8; at < moov.start + moov.size; at += 5) {
      const broken = bytes.slice();
      broken.set([0xff, 0xfe, 0xfd, 0xfc], at);
      const error = await openVideo(new File([broken], 'broken.mp4')).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      if (error === undefined) continue;
      refused++;
      expect(error).toBeInstanceOf(VideoError);
    }
    vi.restoreAllMocks();
    expect(refused).toBeGreaterThan(10);
  });
});
