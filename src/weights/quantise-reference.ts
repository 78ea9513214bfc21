import { blockBytes, blocksOf, QUANTISED_BLOCK, type QuantisedDType } from '../gpu/tensor';
import { f16ToF32Bits } from './widen';

const f = Math.fround;

/** Below it a block is zero (as in shaders/weights/quantise.wgsl). */
const LEAST = 1e-37;
/** Scales that are tried for a block of 4 bits, and rounds that better the best of them. */
const TRIED = 13;
const ROUNDS = 2;

/** A weight in blocks: the layout of `GpuTensor` with 'q4' or 'q8'. */
export interface QuantisedValues {
  /** `[N, blocks, 16 or 32]` bytes. */
  codes: Uint8Array<ArrayBuffer>;
  /** `[N, blocks]`. */
  scales: Float32Array<ArrayBuffer>;
}

/**
 * What shaders/weights/quantise.wgsl does, with the same decisions in the same order and precision (f32).
 * @param values `[N, K]`.
 */
export function quantise(
  values: Float32Array,
  dtype: QuantisedDType,
  [n, k]: readonly [number, number],
): QuantisedValues {
  const blocks = blocksOf(k);
  const codes = new Uint8Array(n * blocks * blockBytes(dtype));
  const scales = new Float32Array(n * blocks);
  for (let row = 0; row < n; row++)
    for (let b = 0; b < blocks; b++) {
      const at = row * k + b * QUANTISED_BLOCK;
      const block = row * blocks + b;
      const own = values.subarray(at, Math.min(at + QUANTISED_BLOCK, (row + 1) * k));
      const { steps, scale } = dtype === 'q4' ? searchScale(own) : stepsOf127(own);
      scales[block] = scale;
      for (let i = 0; i < QUANTISED_BLOCK; i++) {
        const step = steps[i] ?? 0;
        if (dtype === 'q8') codes[block * QUANTISED_BLOCK + i] = step + 128;
        else codes[(block * QUANTISED_BLOCK + i) >> 1]! |= (step + 8) << (4 * (i & 1));
      }
    }
  return { codes, scales };
}

/** Codes around zero, and the scale, of a block in 4 bits. */
function searchScale(block: Float32Array): { steps: number[]; scale: number } {
  let largest = 0;
  for (const value of block) if (Math.abs(value) > Math.abs(largest)) largest = value;
  if (Math.abs(largest) < LEAST) return { steps: [], scale: 0 };
  const u = Float32Array.from(block, (value) => value / largest);
  const nearest = (value: number) => Math.min(7, Math.max(-8, roundEven(value)));
  const project = (by: number) => {
    let along = 0;
    let squares = 0;
    for (const value of u) {
      const q = nearest(f(value * by));
      along = f(along + f(value * q));
      squares = f(squares + q * q);
    }
    return { along, squares };
  };
  let best = -1;
  let scale = 0;
  let steps = 0;
  for (let turn = 0; turn < TRIED + ROUNDS; turn++) {
    const { along, squares } = project(turn < TRIED ? -6 - 0.25 * turn : steps);
    const gain = f(f(along * along) / squares);
    if (turn < TRIED && gain <= best) continue;
    best = gain;
    scale = f(along / squares);
    steps = f(squares / along);
  }
  return { steps: Array.from(u, (value) => nearest(f(value * steps))), scale: f(largest * scale) };
}

/** Codes around zero, and the scale, of a block in 8 bits. */
function stepsOf127(block: Float32Array): { steps: number[]; scale: number } {
  const largest = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (largest < LEAST) return { steps: [], scale: 0 };
  return {
    steps: Array.from(block, (value) => roundEven(f(f(value / largest) * 127))),
    scale: f(largest * f(1 / 127)),
  };
}

function roundEven(value: number): number {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/** Bits of the nearest halves, ties to even; beyond 65504 that. */
export function toHalves(values: Float32Array<ArrayBuffer>): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(bits, (word, i) => {
    const sign = (word >>> 16) & 0x8000;
    const size = word & 0x7fffffff;
    if (size >= 0x477fe000) return sign | 0x7bff;
    if (size < 0x38800000) return sign | roundEven(Math.abs(values[i]!) * 2 ** 24);
    return sign | (((size + 0xfff + ((size >> 13) & 1)) >> 13) - 0x1c000);
  });
}

/** Values of a quantised weight `[N, K]`, in float64: (code - zero) * scale, zero = 8 or 128. */
export function dequantise(
  { codes, scales }: { codes: Uint8Array; scales: ArrayLike<number> },
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
export function fromHalves(halves: Uint16Array): Float64Array<ArrayBuffer> {
  const bits = Uint32Array.from(halves, f16ToF32Bits);
  return Float64Array.from(new Float32Array(bits.buffer));
}

/** Root of the mean squared difference, relative to the root of the mean square of `values`. */
export function relativeRms(values: ArrayLike<number>, approximate: ArrayLike<number>): number {
  let error = 0;
  let square = 0;
  for (let i = 0; i < values.length; i++) {
    error += (values[i]! - approximate[i]!) ** 2;
    square += values[i]! ** 2;
  }
  return square === 0 ? 0 : Math.sqrt(error / square);
}
