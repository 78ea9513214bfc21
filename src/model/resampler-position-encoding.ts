const scratch = new DataView(new ArrayBuffer(4));

/** The float16 nearest to a number (ties to even), as a number. Values are taken through float32 first. */
export function roundToF16(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const exponent = ((bits >>> 23) & 0xff) - 127;
  if (exponent === 128 || value === 0) return value;
  // Spacing of float16 here: 10 bits of mantissa, and below 2^-14 the fixed spacing of subnormals.
  const spacing = 2 ** (Math.max(exponent, -14) - 10);
  const scaled = Math.fround(value) / spacing;
  let whole = Math.floor(scaled);
  const rest = scaled - whole;
  if (rest > 0.5 || (rest === 0.5 && whole % 2 !== 0)) whole += 1;
  const rounded = whole * spacing;
  return Math.abs(rounded) > 65504 ? Math.sign(rounded) * Number.POSITIVE_INFINITY : rounded;
}

/**
 * The resampler's fixed position table `[positions, channels]`: pe[p, 2i] = sin(p w_i), pe[p, 2i + 1] = cos(p w_i),
 * w_i = exp(-2i ln(10000) / channels). As in the original (groupresampler.py, PositionalEncoding), every step is
 * in float32 and the result is rounded to float16; it is returned as float32.
 * @param first position of the first row.
 */
export function positionEncoding(positions: number, channels: number, first = 0): Float32Array<ArrayBuffer> {
  const out = new Float32Array(positions * channels);
  const step = Math.fround(-Math.log(10_000) / channels);
  for (let c = 0; c < channels; c += 2) {
    const frequency = Math.fround(Math.exp(Math.fround(c * step)));
    for (let p = 0; p < positions; p++) {
      const angle = Math.fround((first + p) * frequency);
      out[p * channels + c] = roundToF16(Math.sin(angle));
      if (c + 1 < channels) out[p * channels + c + 1] = roundToF16(Math.cos(angle));
    }
  }
  return out;
}
