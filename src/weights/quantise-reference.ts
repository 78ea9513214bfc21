import { blockBytes, blocksOf, QUANTISED_BLOCK, type QuantisedDType } from '../gpu/tensor';
import { f16ToF32Bits } from './widen';

/**
 * Values of a quantised weight `[N, K]`, in float64: (code - zero) * scale, zero = 8 or 128.
 * @param codes `[N, blocks, 16 or 32]` bytes.
 * @param scales `[N, blocks]`.
 */
export function dequantise(
  codes: Uint8Array,
  scales: ArrayLike<number>,
  dtype: QuantisedDType,
  [n, k]: readonly [number, number],
): Float64Array<ArrayBuffer> {
  const out = new Float64Array(n * k);
  const blocks = blocksOf(k);
  const bytes = blockBytes(dtype);
  for (let row = 0; row < n; row++)
    for (let i = 0; i < k; i++) {
      const block = row * blocks + Math.floor(i / QUANTISED_BLOCK);
      const inside = i % QUANTISED_BLOCK;
      const code =
        dtype === 'q8'
          ? codes[block * bytes + inside]! - 128
          : ((codes[block * bytes + (inside >> 1)]! >> (4 * (inside & 1))) & 15) - 8;
      out[row * k + i] = code * scales[block]!;
    }
  return out;
}

/** Halves as their values. */
export function halvesToNumbers(halves: Uint16Array): Float64Array<ArrayBuffer> {
  const bits = Uint32Array.from(halves, f16ToF32Bits);
  return Float64Array.from(new Float32Array(bits.buffer));
}
