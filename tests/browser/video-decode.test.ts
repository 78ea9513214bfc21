import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Gpu, openGpu } from '../../src/gpu/device';
import { createTensor, type GpuTensor } from '../../src/gpu/tensor';
import { openVideo } from '../../src/video/container';
import { assertDecodable, decodeFrames } from '../../src/video/decode';
import { VideoError } from '../../src/video/errors';
import { sampleFrameIndices } from '../../src/video/frame-indices';
import { readPixels } from '../../src/video/frame-pixels';
import { Preprocessor } from '../../src/video/preprocessor';
import { makeThumbnail } from '../../src/video/thumbnail';
import type { VideoFile } from '../../src/video/video-file';
import { numberOf } from '../support/frame-number';
import { videoBytes, videoFixture } from '../support/video-fixtures';

async function open(name: string): Promise<VideoFile> {
  return openVideo(await videoFixture(name));
}

let gpu: Gpu;
let preprocessor: Preprocessor;
let pixelValues: GpuTensor;

beforeAll(async () => {
  gpu = await openGpu();
  preprocessor = await Preprocessor.create(gpu, 28);
  pixelValues = createTensor(gpu, [1, 3, 28, 28], 'f32', 'pixel values');
});
afterAll(() => gpu?.close());

async function numbersAt(video: VideoFile, indices: readonly number[]): Promise<number[]> {
  const numbers: number[] = [];
  const order: number[] = [];
  await decodeFrames(video, indices, {
    async onFrame(position, frame) {
      order.push(position);
      numbers[position] = await numberOf(frame, video);
    },
  });
  expect(order).toEqual(indices.map((_, position) => position));
  return numbers;
}

const shown = new TextDecoder()
  .decode(await videoBytes('numbers.txt'))
  .trim()
  .split('\n')
  .map((line) => {
    const [name, ...numbers] = line.split(' ');
    return { name: name!, numbers: numbers.map(Number) };
  });

describe('decodeFrames', () => {
  it.each(shown)('$name: every frame is the one that FFmpeg shows there', async ({ name, numbers }) => {
    const video = await open(name);
    expect(await numbersAt(video, [...numbers.keys()])).toEqual(numbers);
  });

  it.each(shown)('$name: sampled frames are the right ones', async ({ name, numbers }) => {
    const video = await open(name);
    for (const count of [1, 4, 16]) {
      const indices = sampleFrameIndices(video.frameCount, count);
      expect(await numbersAt(video, indices)).toEqual(indices.map((i) => numbers[i]));
    }
  });

  it('gives a frame again for every repeated index', async () => {
    const indices = [0, 0, 3, 3, 3, 30, 59, 59];
    expect(await numbersAt(await open('moov-last.mp4'), indices)).toEqual(indices);
  });

  it('reads only the groups that it needs', async () => {
    const bytes = await videoBytes('moov-last.mp4');
    let read = 0;
    class Counted extends File {
      override slice(start = 0, end = this.size, type?: string): Blob {
        read += end - start;
        return super.slice(start, end, type);
      }
    }
    const video = await openVideo(new Counted([bytes], 'counted.mp4'));
    read = 0;
    expect(await numbersAt(video, [25])).toEqual([25]);
    const { keys, sizes } = video.samples;
    const second = keys.indexOf(1, 1);
    const group = sizes.slice(second, keys.indexOf(1, second + 1)).reduce((sum, size) => sum + size, 0);
    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThanOrEqual(group);
  });

  it('decodes what is left of a truncated file', async () => {
    const bytes = await videoBytes('faststart.mp4');
    const video = await openVideo(new File([bytes.subarray(0, bytes.length - 400)], 'cut.mp4'));
    expect(video.truncation).toBeDefined();
    const indices = sampleFrameIndices(video.frameCount, 8);
    const numbers = await numbersAt(video, indices);
    expect([...numbers].sort((a, b) => a - b)).toEqual(numbers);
    expect(numbers[0]).toBe(0);
  });

  it('says that data is damaged, and where', async () => {
    const bytes = await videoBytes('faststart.mp4');
    const intact = await openVideo(new File([bytes], 'intact.mp4'));
    const { keys, positions, sizes } = intact.samples;
    for (let i = keys.indexOf(1, 1); i < sizes.length; i++)
      bytes.fill(0xff, positions[i], positions[i]! + sizes[i]!);
    const video = await openVideo(new File([bytes], 'damaged.mp4'));
    const error = await numbersAt(video, [40]).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(VideoError);
    expect((error as VideoError).code).toBe('decode-failed');
    expect((error as VideoError).message).toMatch(/^damaged.mp4 cannot be decoded at 1\.\d s/);
  });

  it('names a codec that the browser cannot decode', async () => {
    const video = await open('hevc.mp4');
    const { supported } = await VideoDecoder.isConfigSupported({ codec: video.codec });
    if (supported) return; // A browser with an HEVC decoder simply decodes it.
    await expect(assertDecodable(video)).rejects.toMatchObject({
      code: 'unsupported-codec',
      message: expect.stringMatching(/no decoder for HEVC \(hvc1\./),
    });
  });

  it('stops when it is told to', async () => {
    const abort = new AbortController();
    let calls = 0;
    const run = decodeFrames(await open('moov-last.mp4'), [0, 10, 30, 59], {
      onFrame() {
        calls++;
        abort.abort(new Error('stopped by the user'));
      },
      signal: abort.signal,
    });
    await expect(run).rejects.toThrow('stopped by the user');
    expect(calls).toBe(1);
  });

  it('passes on what the reader of frames throws', async () => {
    const run = decodeFrames(await open('moov-last.mp4'), [0, 10], {
      onFrame() {
        throw new Error('no room for frames');
      },
    });
    await expect(run).rejects.toThrow('no room for frames');
  });
});

describe('colours', () => {
  async function rgbOf(name: string, index: number): Promise<Uint8Array> {
    const video = await open(name);
    let data = new Uint8Array();
    await decodeFrames(video, [index], {
      async onFrame(_, frame) {
        preprocessor.run(await readPixels(frame, video), pixelValues, 0);
        data = (await preprocessor.readSource()).data;
      },
    });
    return data;
  }

  function compare(a: Uint8Array, b: Uint8Array): { mean: number; max: number } {
    expect(a.length).toBe(b.length);
    let sum = 0;
    let max = 0;
    for (const [i, value] of a.entries()) {
      const difference = Math.abs(value - b[i]!);
      sum += difference;
      max = Math.max(max, difference);
    }
    return { mean: sum / a.length, max };
  }

  // A decoder of another brand may differ by a rounding here and there; the conversion itself is exact.
  it.each([
    'untagged.mp4',
    'bt709.mp4',
    'bt709-full.mp4',
    'bt709-full.mkv',
    'smpte170m.mp4',
    'vp9.mp4',
    'av1.mp4',
    'vp8-bt709.webm',
    'vp9-tagged.webm',
  ])('%s: as FFmpeg converts it', async (name) => {
    const rgb = await videoBytes(`colour-${name.split('.')[0]}.rgb`);
    const difference = compare(await rgbOf(`colour-${name}`, 2), rgb);
    expect(difference.mean).toBeLessThan(0.1);
  });

  it.each(['10bit.mp4', '444.mp4', 'odd-size.mp4', 'vp9-10bit.webm'])('%s: close to FFmpeg', async (name) => {
    const rgb = await videoBytes(`colour-${name.split('.')[0]}.rgb`);
    const difference = compare(await rgbOf(`colour-${name}`, 2), rgb);
    expect(difference.mean).toBeLessThan(2);
  });

  it('turns a rotated frame as FFmpeg does', async () => {
    for (const [name, rgb] of [
      ['rotated.mp4', 'rotated.rgb'],
      ['rotated.mkv', 'rotated-matroska.rgb'],
    ] as const) {
      const difference = compare(await rgbOf(name, 37), await videoBytes(rgb));
      expect(difference.mean).toBeLessThan(0.1);
    }
  });
});

it('works in a worker', async () => {
  const worker = new Worker(new URL('./video-worker.ts', import.meta.url), { type: 'module' });
  try {
    const answer = new Promise<{ error?: string; frameCount: number; pictures: ImageBitmap[] }>(
      (resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => reject(new Error(event.message));
      },
    );
    worker.postMessage(await videoFixture('moov-last.mp4'));
    const { error, frameCount, pictures } = await answer;
    expect(error).toBeUndefined();
    expect(frameCount).toBe(60);
    expect(pictures.map(({ width, height }) => [width, height])).toEqual([
      [128, 36],
      [128, 36],
    ]);
  } finally {
    worker.terminate();
  }
});

describe('makeThumbnail', () => {
  it.each(['untagged', 'bt709-full', 'smpte170m'])(
    '%s: an upright small picture in the same colours',
    async (kind) => {
      const video = await open(`colour-${kind}.mp4`);
      let picture: ImageBitmap | undefined;
      let expected: number[] = [];
      await decodeFrames(video, [2], {
        async onFrame(_, frame) {
          const pixels = await readPixels(frame, video);
          picture = await makeThumbnail(pixels, video, 56);
          preprocessor.run(pixels, pixelValues, 0);
          expected = meanOf((await preprocessor.readSource()).data, 3);
        },
      });
      expect([picture!.width, picture!.height]).toEqual([56, 32]);
      const context = new OffscreenCanvas(56, 32).getContext('2d')!;
      context.drawImage(picture!, 0, 0);
      const mean = meanOf(context.getImageData(0, 0, 56, 32).data, 4);
      for (let c = 0; c < 3; c++) expect(Math.abs(mean[c]! - expected[c]!)).toBeLessThan(4);
    },
  );

  it('is upright for a rotated clip', async () => {
    const video = await open('rotated.mp4');
    await decodeFrames(video, [37], {
      async onFrame(_, frame) {
        const picture = await makeThumbnail(await readPixels(frame, video), video);
        expect([picture.width, picture.height]).toEqual([36, 128]);
        const context = new OffscreenCanvas(36, 128).getContext('2d')!;
        context.drawImage(picture, 0, 0);
        const shownRgb = await videoBytes('rotated.rgb');
        for (let row = 8; row < 128; row += 16) {
          const [red] = context.getImageData(18, row, 1, 1).data;
          expect(Math.abs(red! - shownRgb[(row * 36 + 18) * 3]!)).toBeLessThan(12);
        }
      },
    });
  });
});

function meanOf(data: ArrayLike<number>, channels: number): number[] {
  const sums = [0, 0, 0];
  for (let i = 0; i < data.length; i += channels) for (let c = 0; c < 3; c++) sums[c]! += data[i + c]!;
  return sums.map((sum) => (sum * channels) / data.length);
}
