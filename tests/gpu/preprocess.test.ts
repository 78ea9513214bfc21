import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device';
import { createTensor, type GpuTensor, readF32 } from '../../src/gpu/tensor';
import { YUV_TO_RGB } from '../../src/video/colour';
import { type FramePixels, pixelsOfRgb } from '../../src/video/frame-pixels';
import { Preprocessor } from '../../src/video/preprocessor';
import { preprocessReference, type RgbImage, resizeReference } from '../../src/video/resize-reference';
import { f32, i32, loadGolden, u8 } from '../support/golden';
import { sharedGpu } from '../support/shared-gpu';

const golden = await loadGolden('vision.safetensors');
const size = golden.get('resized')!.shape[1]!;
let gpu: Gpu;

beforeAll(async () => {
  gpu = await sharedGpu();
});
afterAll(() => gpu?.close());

function picture(name: string): RgbImage {
  const [height, width] = golden.get(name)!.shape as [number, number];
  return { width, height, data: u8(golden, name) };
}

function clipFrame(index: number): RgbImage {
  const [, height, width] = golden.get('video')!.shape as [number, number, number];
  const bytes = height * width * 3;
  return { width, height, data: u8(golden, 'video').slice(index * bytes, (index + 1) * bytes) };
}

/** Bytes from a counter, so that a failure can be repeated. */
function noise(length: number, seed: number): Uint8Array<ArrayBuffer> {
  let state = seed >>> 0;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

async function withPreprocessor<T>(
  s: number,
  frames: number,
  body: (preprocessor: Preprocessor, pixelValues: GpuTensor) => Promise<T>,
): Promise<T> {
  const preprocessor = await Preprocessor.create(gpu, s);
  const pixelValues = createTensor(gpu, [frames, 3, s, s], 'f32', 'pixel values');
  try {
    return await body(preprocessor, pixelValues);
  } finally {
    pixelValues.buffer.destroy();
    preprocessor.destroy();
  }
}

describe('Preprocessor', () => {
  it('equals the original processor on the sampled frames', async () => {
    const indices = [...i32(golden, 'frame_indices')];
    await withPreprocessor(size, indices.length, async (preprocessor, pixelValues) => {
      const bytes = size * size * 3;
      for (const [t, index] of indices.entries()) {
        preprocessor.run(clipFrame(index), pixelValues, t);
        expect((await preprocessor.readResized()).data).toEqual(
          u8(golden, 'resized').slice(t * bytes, (t + 1) * bytes),
        );
      }
      expect(await readF32(gpu, pixelValues)).toEqual(f32(golden, 'pixel_values'));
    });
  });

  it('refuses pictures that do not fit into a buffer of the GPU, with a sentence', async () => {
    const limits = { ...gpu.adapter.limits, maxStorageBufferBindingSize: 640 * 480 * 4 - 1 };
    const small = { ...gpu, adapter: { ...gpu.adapter, limits } };
    const preprocessor = await Preprocessor.create(small, 28);
    const pixelValues = createTensor(gpu, [1, 3, 28, 28], 'f32', 'pixel values');
    const run = (height: number) =>
      preprocessor.run(pixelsOfRgb(640, height, new Uint8Array(640 * height * 3)), pixelValues, 0);
    try {
      run(479);
      expect(() => run(480)).toThrow('Pictures of 640 x 480 pixels are too large for this GPU.');
      run(479);
    } finally {
      pixelValues.buffer.destroy();
      preprocessor.destroy();
    }
  });

  it.each(['shrink', 'dark'])('equals it on the %s frame', async (name) => {
    await withPreprocessor(size, 1, async (preprocessor, pixelValues) => {
      preprocessor.run(picture(name === 'dark' ? 'dark.frame' : 'shrink.source'), pixelValues, 0);
      expect(await readF32(gpu, pixelValues)).toEqual(f32(golden, `${name}.pixel_values`));
    });
  });

  it('does not take a bright frame after a dark one for dark', async () => {
    await withPreprocessor(size, 2, async (preprocessor, pixelValues) => {
      preprocessor.run(picture('dark.frame'), pixelValues, 0);
      preprocessor.run(clipFrame(0), pixelValues, 1);
      const frame = 3 * size * size;
      expect((await readF32(gpu, pixelValues)).slice(frame)).toEqual(preprocessReference(clipFrame(0), size));
    });
  });

  it('equals it when a frame grows to 384', async () => {
    await withPreprocessor(384, 1, async (preprocessor, pixelValues) => {
      preprocessor.run(clipFrame(i32(golden, 'full384.source_index')[0]!), pixelValues, 0);
      const expected = u8(golden, 'full384.resized');
      expect((await preprocessor.readResized()).data.slice(0, expected.length)).toEqual(expected);
    });
  });

  it.each([
    [1, 1, 14],
    [3, 500, 28],
    [641, 7, 60],
    [333, 187, 61],
    [28, 28, 28],
    [1920, 270, 48],
  ])('equals the reference for %i x %i to %i', async (width, height, s) => {
    const image = { width, height, data: noise(width * height * 3, width * 31 + height) };
    await withPreprocessor(s, 1, async (preprocessor, pixelValues) => {
      preprocessor.run(image, pixelValues, 0);
      expect((await preprocessor.readResized()).data).toEqual(resizeReference(image, s, s).data);
      expect(await readF32(gpu, pixelValues)).toEqual(preprocessReference(image, s));
    });
  });

  it.each([90, 180, 270] as const)('turns frames by %i degrees clockwise', async (rotation) => {
    const [width, height] = [5, 3];
    const source = noise(width * height * 3, 5);
    await withPreprocessor(8, 1, async (preprocessor, pixelValues) => {
      preprocessor.run({ ...pixelsOfRgb(width, height, source), rotation }, pixelValues, 0);
      const turned = await preprocessor.readSource();
      expect([turned.width, turned.height]).toEqual(rotation === 180 ? [5, 3] : [3, 5]);
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const [tx, ty] = {
            90: [height - 1 - y, x],
            180: [width - 1 - x, height - 1 - y],
            270: [y, width - 1 - x],
          }[rotation] as [number, number];
          const at = (ty * turned.width + tx) * 3;
          const from = (y * width + x) * 3;
          expect(turned.data.slice(at, at + 3)).toEqual(source.slice(from, from + 3));
        }
      }
    });
  });

  it('refuses a frame beyond the last', async () => {
    await withPreprocessor(size, 2, async (preprocessor, pixelValues) => {
      expect(() => preprocessor.run(clipFrame(0), pixelValues, 2)).toThrow('does not fit');
    });
  });
});

/** Y'CbCr to R'G'B' in float64, by the standard's equations: E' = (Y - 16) / 219, Pb = (Cb - 128) / 224 and so on. */
function standardRgb(y: number, u: number, v: number, kr: number, kb: number, full: boolean): number[] {
  const luma = full ? y / 255 : (y - 16) / 219;
  const [pb, pr] = [u, v].map((c) => (c - 128) / (full ? 255 : 224)) as [number, number];
  const r = luma + 2 * (1 - kr) * pr;
  const b = luma + 2 * (1 - kb) * pb;
  const g = (luma - kr * r - kb * b) / (1 - kr - kb);
  return [r, g, b].map((e) => Math.min(255, Math.max(0, e * 255)));
}

/** A sample at `at` of `pixels`, of `samples` spread over the same length: cubic filter with B = 0, C = 0.6. */
function cubicAt(sample: (i: number) => number, at: number, pixels: number, samples: number): number {
  const cubic = (x: number) => {
    const d = Math.abs(x);
    return d < 1 ? 1.4 * d ** 3 - 2.4 * d ** 2 + 1 : -0.6 * d ** 3 + 3 * d ** 2 - 4.8 * d + 2.4;
  };
  const position = ((at + 0.5) * samples) / pixels - 0.5;
  let sum = 0;
  for (let i = Math.floor(position) - 1; i <= Math.floor(position) + 2; i++)
    sum += cubic(i - position) * sample(Math.min(samples - 1, Math.max(0, i)));
  return sum;
}

describe('colour conversion', () => {
  const KR_KB: Record<number, [number, number]> = {
    1: [0.2126, 0.0722],
    4: [0.3, 0.11],
    5: [0.299, 0.114],
    6: [0.299, 0.114],
    7: [0.212, 0.087],
    9: [0.2627, 0.0593],
    10: [0.2627, 0.0593],
  };
  // Format, chroma shifts, depth, interleaved, width, height: odd sizes take the interpolating path.
  const formats: [string, number, number, number, boolean, number, number][] = [
    ['I420', 1, 1, 8, false, 9, 6],
    ['I420', 1, 1, 8, false, 9, 7],
    ['I420', 1, 1, 8, false, 10, 7],
    ['NV12', 1, 1, 8, true, 9, 6],
    ['NV12', 1, 1, 8, true, 7, 5],
    ['I422', 1, 0, 8, false, 9, 6],
    ['I444', 0, 0, 8, false, 9, 6],
    ['I420P10', 1, 1, 10, false, 8, 6],
    ['I422P10', 1, 0, 10, false, 9, 6],
  ];
  const cases = formats.flatMap((f) =>
    [true, false].map((full) => [`${f[0]} ${f[5]}x${f[6]}`, full, f] as const),
  );

  it.each(cases)(
    '%s (full range %s) is within rounding of the standard, for each matrix',
    async (_name, fullRange, kind) => {
      const [format, shiftX, shiftY, depth, interleaved, width, height] = kind;
      const exact = depth === 8 && shiftX === 1 && height % 2 === 0;
      const bytes = depth > 8 ? 2 : 1;
      const cWidth = (width + shiftX) >> shiftX;
      const cHeight = (height + shiftY) >> shiftY;
      const samples = noise(width * height + 2 * cWidth * cHeight, 77);
      const data = new Uint8Array(Math.ceil((samples.length * bytes) / 4) * 4);
      // Ten bits: the same eight and two more, so that the expected value is known to a quarter.
      for (const [i, s] of samples.entries()) {
        if (bytes === 1) data[i] = s;
        else data.set([(s << 2) & 255, s >> 6], i * 2);
      }
      const luma = { offset: 0, stride: width * bytes };
      const cStride = cWidth * bytes * (interleaved ? 2 : 1);
      const u = { offset: width * height * bytes, stride: cStride };
      const v = { offset: u.offset + cStride * cHeight, stride: cStride };
      for (const matrix of Object.keys(YUV_TO_RGB).map(Number)) {
        const frame: FramePixels = {
          width,
          height,
          rotation: 0,
          format,
          layout: { kind: 'yuv', depth, shiftX, shiftY, interleaved },
          planes: interleaved ? [luma, u] : [luma, u, v],
          data,
          colour: { matrix, fullRange },
        };
        await withPreprocessor(4, 1, async (preprocessor, pixelValues) => {
          preprocessor.run(frame, pixelValues, 0);
          const rgb = await preprocessor.readSource();
          let worst = 0;
          for (let y = 0; y < height; y++) {
            for (let x = 0; x < width; x++) {
              const at = (plane: number) => {
                const chroma = (row: number, column: number) => {
                  const c = row * cWidth + column;
                  return samples[
                    width * height + (interleaved ? 2 * c + plane : plane * cWidth * cHeight + c)
                  ]!;
                };
                const across = (row: number) =>
                  shiftX && width % 2 && !exact
                    ? cubicAt((column) => chroma(row, column), x, width, cWidth)
                    : chroma(row, x >> shiftX);
                return shiftY && !exact ? cubicAt(across, y, height, cHeight) : across(y >> shiftY);
              };
              const scale = depth > 8 && fullRange ? (4 * 255) / 1023 : 1;
              const zero = depth > 8 && fullRange ? 128 - (512 * 255) / 1023 : 0;
              const expected = standardRgb(
                samples[y * width + x]! * scale,
                at(0) * scale + zero,
                at(1) * scale + zero,
                ...KR_KB[matrix]!,
                fullRange,
              );
              for (const [i, e] of expected.entries())
                worst = Math.max(worst, Math.abs(rgb.data[(y * width + x) * 3 + i]! - e));
            }
          }
          // swscale cuts each of up to three products instead of rounding the sum.
          expect(worst).toBeLessThan(exact ? 3.3 : 0.8);
        });
      }
    },
  );
});
