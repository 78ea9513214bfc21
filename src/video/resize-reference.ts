import { PRECISION_BITS, resizeCoefficients } from './resize-coefficients';

/** An 8-bit RGB picture, [height, width, 3]. */
export interface RgbImage {
  width: number;
  height: number;
  data: Uint8Array<ArrayBuffer>;
}

/** The numbers of a checkpoint's preprocessor_config.json that decide how bytes become pixel values. */
export interface Normalisation {
  rescale_factor: number;
  image_mean: readonly [number, number, number];
  image_std: readonly [number, number, number];
}

/** SigLIP's. */
export const SIGLIP_NORMALISATION: Normalisation = {
  rescale_factor: 1 / 255,
  image_mean: [0.5, 0.5, 0.5],
  image_std: [0.5, 0.5, 0.5],
};

const clip8 = (sum: number) => Math.min(255, Math.max(0, sum >> PRECISION_BITS));

/** Pillow's bicubic resize of an RGB picture, bit for bit: the plain reference of the kernels in shaders/video. */
export function resizeReference(image: RgbImage, outWidth: number, outHeight: number): RgbImage {
  const { width, height, data } = image;
  const half = 1 << (PRECISION_BITS - 1);
  const x = resizeCoefficients(width, outWidth);
  const across = new Uint8Array(height * outWidth * 3);
  for (let row = 0; row < height; row++) {
    for (let o = 0; o < outWidth; o++) {
      for (let c = 0; c < 3; c++) {
        let sum = half;
        for (let i = 0; i < x.bounds[o * 2 + 1]!; i++)
          sum += data[(row * width + x.bounds[o * 2]! + i) * 3 + c]! * x.weights[o * x.taps + i]!;
        across[(row * outWidth + o) * 3 + c] = clip8(sum);
      }
    }
  }
  const y = resizeCoefficients(height, outHeight);
  const out = new Uint8Array(outHeight * outWidth * 3);
  for (let o = 0; o < outHeight; o++) {
    for (let i = 0; i < outWidth * 3; i++) {
      let sum = half;
      for (let j = 0; j < y.bounds[o * 2 + 1]!; j++)
        sum += across[(y.bounds[o * 2]! + j) * outWidth * 3 + i]! * y.weights[o * y.taps + j]!;
      out[o * outWidth * 3 + i] = clip8(sum);
    }
  }
  return { width: outWidth, height: outHeight, data: out };
}

/**
 * The pixel value of each byte, [2, 3, 256]: first index 1 for dark frames. `u8 * rescale_factor` in float64 rounded
 * to float32, then `(x - mean) / std` in float32. Frames whose largest value is at most 1 are not rescaled.
 */
export function pixelValueTable(normalisation: Normalisation): Float32Array<ArrayBuffer> {
  const table = new Float32Array(2 * 3 * 256);
  for (let dark = 0; dark < 2; dark++) {
    for (let c = 0; c < 3; c++) {
      const mean = Math.fround(normalisation.image_mean[c]!);
      const std = Math.fround(normalisation.image_std[c]!);
      for (let u = 0; u < 256; u++) {
        const x = dark ? u : Math.fround(u * normalisation.rescale_factor);
        table[(dark * 3 + c) * 256 + u] = Math.fround(Math.fround(x - mean) / std);
      }
    }
  }
  return table;
}

/** What the original image processor makes of one frame: pixel values [3, size, size]. */
export function preprocessReference(
  image: RgbImage,
  size: number,
  normalisation: Normalisation = SIGLIP_NORMALISATION,
): Float32Array<ArrayBuffer> {
  const dark = image.data.every((value) => value <= 1) ? 1 : 0;
  const table = pixelValueTable(normalisation);
  const { data } = resizeReference(image, size, size);
  const plane = size * size;
  const out = new Float32Array(3 * plane);
  for (let i = 0; i < plane; i++)
    for (let c = 0; c < 3; c++) out[c * plane + i] = table[(dark * 3 + c) * 256 + data[i * 3 + c]!]!;
  return out;
}
