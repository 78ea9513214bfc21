import type { Gpu } from '../gpu/device';
import {
  blockBytes,
  blocksOf,
  type DType,
  destroyTensor,
  type GpuTensor,
  isQuantised,
  QUANTISED_BLOCK,
  type QuantisedDType,
  uploadTensor,
  writeTensor,
} from '../gpu/tensor';
import { widenToF32 } from '../weights/widen';
import { randomValues } from './random-values';

/** A random weight `[n, k]` of some element type. */
export interface WeightValues {
  /** The value that the stored element stands for. */
  at(row: number, column: number): number;
  upload(gpu: Gpu): GpuTensor;
  free(tensor: GpuTensor): void;
}

/** Element types of weights that linear layers are measured with. */
export const WEIGHT_TYPES = ['f32', 'f16', 'q8', 'q4'] as const satisfies readonly DType[];
export type WeightType = (typeof WEIGHT_TYPES)[number];

/** Makes a random weight `[n, k]`: what kernels do does not depend on how its codes came about. */
export function makeWeight(type: WeightType, n: number, k: number): WeightValues {
  if (isQuantised(type)) return quantisedWeight(type, n, k);
  if (type === 'f32') {
    const values = randomValues(6, n * k);
    return plainWeight(values, values, 'f32', n, k);
  }
  // Halves from 2^-9 to 1 in size: sign, exponent and fraction from random words.
  const halves = Uint16Array.from(randomWords(n * k), (word) => {
    const exponent = 6 + ((word >>> 1) % 9);
    return ((word & 1) << 15) | (exponent << 10) | (word >>> 22);
  });
  return plainWeight(halves, widenToF32(new Uint8Array(halves.buffer), 'F16'), 'f16', n, k);
}

function plainWeight(
  stored: Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>,
  values: Float32Array,
  type: 'f32' | 'f16',
  n: number,
  k: number,
): WeightValues {
  return {
    at: (row, column) => values[row * k + column]!,
    upload: (gpu) => uploadTensor(gpu, stored, [n, k], type, 'bench weight'),
    free: destroyTensor,
  };
}

function quantisedWeight(type: QuantisedDType, n: number, k: number): WeightValues {
  const blocks = blocksOf(k);
  const codes = new Uint8Array(n * blocks * blockBytes(type));
  codes.set(new Uint8Array(randomWords(Math.ceil(codes.length / 4)).buffer).subarray(0, codes.length));
  const scales = randomValues(8, n * blocks).map((value) => (1 + value / 2) / (type === 'q4' ? 8 : 128));
  return {
    at(row, column) {
      const block = row * blocks + Math.floor(column / QUANTISED_BLOCK);
      const i = block * QUANTISED_BLOCK + (column % QUANTISED_BLOCK);
      const scale = scales[block]!;
      if (type === 'q8') return scale * (codes[i]! - 128);
      return scale * (((codes[i >> 1]! >> (4 * (i & 1))) & 15) - 8);
    },
    upload(gpu) {
      const tensor = uploadTensor(gpu, codes, [n, k], type, 'bench weight');
      writeTensor(gpu, tensor.scales!, scales);
      return tensor;
    },
    free: destroyTensor,
  };
}

function randomWords(count: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(randomValues(6, count), (value) => Math.imul(value * 2 ** 31, 0x9e3779b1) >>> 0);
}
