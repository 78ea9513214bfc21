/** f32 to f16 bits, rounded to nearest even; too large becomes infinity. */
export function toHalf(values: ArrayLike<number>): Uint16Array<ArrayBuffer> {
  const out = new Uint16Array(values.length);
  const float = new Float32Array(1);
  const bits = new Uint32Array(float.buffer);
  for (let i = 0; i < values.length; i++) {
    float[0] = values[i]!;
    const sign = (bits[0]! >>> 16) & 0x8000;
    const size = Math.abs(float[0]!);
    if (Number.isNaN(size)) out[i] = 0x7e00;
    else if (size >= 65520) out[i] = sign | 0x7c00;
    // Subnormal: whole multiples of 2^-24.
    else if (size < 2 ** -14) out[i] = sign | roundEven(size * 2 ** 24);
    else {
      const exponent = Math.floor(Math.log2(size));
      const e = size >= 2 ** (exponent + 1) ? exponent + 1 : size < 2 ** exponent ? exponent - 1 : exponent;
      // A mantissa that rounds up to 2048 carries into the exponent by itself.
      out[i] = sign | (((e + 15) << 10) + roundEven((size / 2 ** e - 1) * 1024));
    }
  }
  return out;
}

/** f16 bits to f32. */
export function fromHalf(bits: ArrayLike<number>): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: bits.length }, (_, i) => {
    const h = bits[i]!;
    const sign = h & 0x8000 ? -1 : 1;
    const exponent = (h >> 10) & 31;
    const mantissa = h & 1023;
    if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    if (exponent === 0) return sign * mantissa * 2 ** -24;
    return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
  });
}

function roundEven(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  if (rest !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}
