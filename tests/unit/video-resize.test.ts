import { describe, expect, it } from 'vitest';
import { resizeCoefficients } from '../../src/video/resize-coefficients';
import { preprocessReference, type RgbImage, resizeReference } from '../../src/video/resize-reference';
import { f32, i32, loadGolden, u8 } from '../support/golden';

const golden = await loadGolden('vision.safetensors');

function image(data: Uint8Array<ArrayBuffer>, shape: readonly number[]): RgbImage {
  return { height: shape[0]!, width: shape[1]!, data };
}

function clipFrame(index: number): RgbImage {
  const [, height, width] = golden.get('video')!.shape as [number, number, number, number];
  const bytes = height * width * 3;
  return image(u8(golden, 'video').slice(index * bytes, (index + 1) * bytes), [height, width]);
}

const resizedShape = golden.get('resized')!.shape;
const size = resizedShape[1]!;

describe('resizeReference and preprocessReference', () => {
  it('equal the original processor on every sampled frame', () => {
    for (const [t, index] of i32(golden, 'frame_indices').entries()) {
      const frame = clipFrame(index);
      const bytes = size * size * 3;
      expect(resizeReference(frame, size, size).data).toEqual(
        u8(golden, 'resized').slice(t * bytes, (t + 1) * bytes),
      );
      expect(preprocessReference(frame, size)).toEqual(
        f32(golden, 'pixel_values').slice(t * bytes, (t + 1) * bytes),
      );
    }
  });

  it('equal it for a strong downscale', () => {
    const source = golden.get('shrink.source')!;
    const out = preprocessReference(image(u8(golden, 'shrink.source'), source.shape), size);
    expect(out).toEqual(f32(golden, 'shrink.pixel_values'));
  });

  it('equal it for a dark frame, which is not rescaled', () => {
    const source = golden.get('dark.frame')!;
    const out = preprocessReference(image(u8(golden, 'dark.frame'), source.shape), size);
    expect(out).toEqual(f32(golden, 'dark.pixel_values'));
    expect(new Set(out)).toEqual(new Set([-1, 1]));
  });

  it('equal it for an upscale to 384', () => {
    const frame = clipFrame(i32(golden, 'full384.source_index')[0]!);
    const expected = u8(golden, 'full384.resized');
    expect(resizeReference(frame, 384, 384).data.slice(0, expected.length)).toEqual(expected);
  });
});

describe('resizeCoefficients', () => {
  it('keep every 32-bit sum in range, for all sizes up to 2000 and some beyond', () => {
    const sizes = Array.from({ length: 2000 }, (_, i) => i + 1).concat([2160, 3840, 4320, 7680, 16384]);
    for (const outSize of [60, 384]) for (const n of sizes) resizeCoefficients(n, outSize);
  });

  it('sum to one within rounding', () => {
    const { weights, taps, bounds } = resizeCoefficients(1920, 384);
    for (let o = 0; o < 384; o++) {
      let sum = 0;
      for (let i = 0; i < bounds[o * 2 + 1]!; i++) sum += weights[o * taps + i]!;
      expect(Math.abs(sum - 2 ** 22)).toBeLessThanOrEqual(taps);
    }
  });

  it('refuse empty pictures', () => {
    expect(() => resizeCoefficients(0, 60)).toThrow('Cannot resize 0 pixels');
  });
});
