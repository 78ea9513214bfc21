/** Fixed-point bits of the weights: Pillow's PRECISION_BITS for 8-bit pictures (32 - 8 - 2). */
export const PRECISION_BITS = 22;

/** The weights of one axis of a resize. Output `o` is the sum over `i < bounds[2o+1]` of
 * `weights[o * taps + i] * input[bounds[2o] + i]`. */
export interface ResizeCoefficients {
  /** [outSize, 2]: first input and number of inputs of each output. */
  bounds: Int32Array<ArrayBuffer>;
  /** [outSize, taps], scaled by 2^22 and rounded. */
  weights: Int32Array<ArrayBuffer>;
  taps: number;
}

/** Cubic convolution with a = -0.5. */
function bicubic(x: number): number {
  const a = -0.5;
  const d = Math.abs(x);
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return (((d - 5) * d + 8) * d - 4) * a;
  return 0;
}

/**
 * Weights of Pillow's antialiased bicubic resize of one axis, in the same order of float64 operations, then rounded
 * to integers as its 8-bit path does (`trunc(w * 2^22 +- 0.5)`).
 * @throws RangeError for sizes below 1, and where a sum of products could leave the 32-bit range.
 */
export function resizeCoefficients(inSize: number, outSize: number): ResizeCoefficients {
  if (inSize < 1 || outSize < 1) throw new RangeError(`Cannot resize ${inSize} pixels to ${outSize}.`);
  const scale = inSize / outSize;
  const filterScale = Math.max(scale, 1);
  const support = 2 * filterScale;
  const taps = Math.ceil(support) * 2 + 1;
  const bounds = new Int32Array(outSize * 2);
  const weights = new Int32Array(outSize * taps);
  const row = new Float64Array(taps);
  for (let o = 0; o < outSize; o++) {
    const center = (o + 0.5) * scale;
    const step = 1 / filterScale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const count = Math.min(inSize, Math.trunc(center + support + 0.5)) - first;
    let total = 0;
    for (let i = 0; i < count; i++) {
      const weight = bicubic((i + first - center + 0.5) * step);
      row[i] = weight;
      total += weight;
    }
    let magnitude = 0;
    for (let i = 0; i < count; i++) {
      if (total !== 0) row[i]! /= total;
      const scaled = row[i]! * 2 ** PRECISION_BITS;
      const weight = Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
      weights[o * taps + i] = weight;
      magnitude += Math.abs(weight);
    }
    if (magnitude * 255 + 2 ** (PRECISION_BITS - 1) >= 2 ** 31)
      throw new RangeError(`Resizing ${inSize} pixels to ${outSize} would overflow 32-bit sums.`);
    bounds[o * 2] = first;
    bounds[o * 2 + 1] = count;
  }
  return { bounds, weights, taps };
}
