import { afterEach, describe, expect, it } from 'vitest';
import { openVideo } from '../../src/video/container';
import { decodeFrames } from '../../src/video/decode';
import { type Damage, decodeSampled } from '../../src/video/decode-sampled';
import { DamageError, VideoError } from '../../src/video/errors';
import { sampleFrameIndices } from '../../src/video/frame-indices';
import type { VideoFile } from '../../src/video/video-file';
import { numberOf } from '../support/frame-number';
import { type BoxNode, findBox, parseBoxes, writeBoxes } from '../support/mp4-tree';
import { videoBytes, videoFixture } from '../support/video-fixtures';

const SIXTEEN = [...Array(16).keys()];

/** A fixture whose boxes were changed. */
async function changed(name: string, change: (boxes: BoxNode[]) => void): Promise<File> {
  const boxes = parseBoxes(await videoBytes(name));
  change(boxes);
  return new File([writeBoxes(boxes)], name);
}

function set(boxes: readonly BoxNode[], type: string, at: number, ...bytes: number[]): void {
  findBox(boxes, type).payload.set(bytes, at);
}

async function numbersAt(video: VideoFile, indices: readonly number[]): Promise<number[]> {
  const numbers: number[] = [];
  await decodeFrames(video, indices, {
    async onFrame(position, frame) {
      numbers[position] = await numberOf(frame, video);
    },
  });
  return numbers;
}

async function failure(work: Promise<unknown>): Promise<VideoError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(VideoError);
  expect((error as VideoError).hint).toMatch(/^[A-Z].*\.$/);
  return error as VideoError;
}

async function decodeAll(file: File): Promise<number[]> {
  const video = await openVideo(file);
  return numbersAt(video, sampleFrameIndices(video.frameCount, 16));
}

describe('unusual clips that work', () => {
  it('one frame: all sampled frames are that one', async () => {
    expect(await decodeAll(await videoFixture('one-frame.mp4'))).toEqual(SIXTEEN.map(() => 37));
  });

  it('a track that lasts no time: its frames come in their order', async () => {
    const file = await changed('vp9.mp4', (boxes) => {
      set(boxes, 'stts', 12, 0, 0, 0, 0); // the duration of every frame
      set(boxes, 'mdhd', 16, 0, 0, 0, 0);
      set(boxes, 'mvhd', 16, 0, 0, 0, 0);
      set(boxes, 'tkhd', 20, 0, 0, 0, 0);
      set(boxes, 'elst', 8, 0, 0, 0, 0);
    });
    const video = await openVideo(file);
    expect([video.durationSeconds, video.frameCount]).toEqual([0, 60]);
    expect(video.frames.times.every((time) => time === 0)).toBe(true);
    const indices = sampleFrameIndices(60, 16);
    expect(await numbersAt(video, indices)).toEqual(indices);
  });
});

describe('8K', () => {
  const Decoder = VideoDecoder;
  /** Frames that were given to the decoder and are not closed: coded, being decoded or held. */
  let underway = 0;
  let most = 0;

  class CountingDecoder extends Decoder {
    constructor(init: VideoDecoderInit) {
      super({
        ...init,
        output(frame) {
          const close = frame.close.bind(frame);
          frame.close = () => {
            underway--;
            close();
          };
          init.output(frame);
        },
      });
    }

    override decode(chunk: EncodedVideoChunk): void {
      most = Math.max(most, ++underway);
      super.decode(chunk);
    }
  }

  afterEach(() => {
    globalThis.VideoDecoder = Decoder;
  });

  it('gives every frame and has few of them under way', async () => {
    globalThis.VideoDecoder = CountingDecoder;
    const video = await openVideo(await videoFixture('8k.mp4'));
    expect([video.width, video.height]).toEqual([7680, 4320]);
    expect(await numbersAt(video, [...Array(12).keys()])).toEqual([...Array(12).keys()]);
    expect(underway).toBe(0);
    expect(most).toBeLessThan(10); // of 50 MB each
  });
});

describe('pictures of no size or of any', () => {
  const sized = (...bytes: [number, number, number, number]) =>
    changed('faststart.mp4', (boxes) => set(boxes, 'avc1', 24, ...bytes));

  it('says that they have none', async () => {
    const error = await failure(decodeAll(await sized(0, 0, 0, 36)));
    expect(error.code).toBe('corrupt');
    expect(error.message).toBe('faststart.mp4 is damaged: it says that its pictures are 0 x 36 pixels.');
  });

  it('says that the decoder does not take the size', async () => {
    const error = await failure(decodeAll(await sized(255, 255, 255, 255)));
    expect(error.code).toBe('too-large');
    expect(error.message).toContain('has pictures of 65535 x 65535 pixels');
  });
});

describe('codecs without a decoder are named', () => {
  it.each([
    ['mpeg4.mp4', 'MPEG-4 Visual (mp4v'],
    ['prores.mov', 'ProRes 422 Proxy (apco)'],
  ])('%s', async (name, codec) => {
    const error = await failure(decodeAll(await videoFixture(name)));
    expect(error.code).toBe('unsupported-codec');
    expect(error.message).toContain(`${name} cannot be read here: your browser has no decoder for ${codec}`);
  });
});

describe('data that the decoder gives up on', () => {
  /** faststart.mp4 has key frames at 0, 24 and 48 of 60 frames; these groups of pictures are spoilt. */
  async function spoilt(...groups: number[]): Promise<VideoFile> {
    const bytes = await videoBytes('faststart.mp4');
    const { samples } = await openVideo(new File([bytes], 'intact.mp4'));
    for (let i = 0; i < samples.length; i++) {
      const [at, size] = [samples.positions[i]!, samples.sizes[i]!];
      if (groups.includes(Math.floor(i / 24))) bytes.fill(0xff, at, at + size);
    }
    return openVideo(new File([bytes], 'spoilt.mp4'));
  }

  async function sampled(video: VideoFile) {
    const numbers: number[] = [];
    let chosen: readonly number[] = [];
    let damage: Damage | undefined;
    let choices = 0;
    await decodeSampled(video, {
      choose: (n) => sampleFrameIndices(n, 16),
      onChoice(indices, found) {
        choices++;
        [chosen, damage] = [indices, found];
      },
      async onFrame(position, frame) {
        numbers[position] = await numberOf(frame, video);
      },
    });
    return { numbers, chosen, damage, choices };
  }

  it('takes other frames where a stretch in the middle is spoilt', async () => {
    const { numbers, chosen, damage, choices } = await sampled(await spoilt(1));
    expect(choices).toBe(2);
    expect(numbers).toEqual([...chosen]);
    expect(chosen).toHaveLength(16);
    expect(chosen.some((i) => i >= 24 && i < 48)).toBe(false);
    expect([chosen[0], chosen[15]]).toEqual([0, 59]);
    expect(damage!.fromSeconds).toBeCloseTo(1, 1);
    expect(damage!.seconds).toBeCloseTo(1, 1);
  });

  it('leaves an intact clip as it is', async () => {
    const { chosen, damage, choices } = await sampled(await spoilt());
    expect([choices, damage]).toEqual([1, undefined]);
    expect(chosen).toEqual(sampleFrameIndices(60, 16));
  });

  it('says at which second where less than half is left', async () => {
    const error = await failure(sampled(await spoilt(0, 1)));
    expect(error).toBeInstanceOf(DamageError);
    expect(error.message).toBe('spoilt.mp4 cannot be decoded at 0.0 s: the video data there is damaged.');
    expect((await failure(sampled(await spoilt(1, 2)))).message).toMatch(/at 1\.\d s/);
  });
});

describe('a file that changes while it is read', () => {
  it.each(['changed', 'removed'])('%s: says so', async (what) => {
    const folder = await navigator.storage.getDirectory();
    const handle = await folder.getFileHandle('film.mp4', { create: true });
    const write = async (bytes: BlobPart) => {
      const stream = await handle.createWritable();
      await stream.write(bytes);
      await stream.close();
    };
    await write(await videoBytes('moov-last.mp4'));
    const video = await openVideo(await handle.getFile());
    if (what === 'changed') await write('other bytes');
    else await folder.removeEntry('film.mp4');
    const error = await failure(numbersAt(video, [0, 30]));
    expect(error.code).toBe('unreadable');
    expect(error.message).toBe(
      'film.mp4 can no longer be read: it was moved, changed or removed since you chose it.',
    );
    if (what === 'changed') await folder.removeEntry('film.mp4');
  });
});
