import { widenToF32 } from '../weights/widen';

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

/** f32 values below 65,504 as halves, to the nearest even. */
export function toHalves(values: Float32Array): Uint16Array<ArrayBuffer> {
  return Uint16Array.from(values, (value) => {
    float[0] = value;
    const sign = (bits[0]! >>> 16) & 0x8000;
    const size = Math.abs(value);
    // Below 2^-14 a half counts in steps of 2^-24.
    if (size < 2 ** -14) return sign | Math.round(size * 2 ** 24);
    const word = bits[0]! & 0x7fffffff;
    return sign | ((word - 0x38000000 + 0xfff + ((word >>> 13) & 1)) >>> 13);
  });
}

/** The values that halves of them stand for. */
export function roundToHalves(values: Float32Array): Float32Array<ArrayBuffer> {
  return widenToF32(new Uint8Array(toHalves(values).buffer), 'F16');
}
