import { WEIGHT_TYPES, type WeightType } from './linear-weights';
import type { LinearCase } from './report';

/** One linear layer to be measured: x `[rows, k]`, W `[n, k]`. */
export interface LinearSpec {
  rows: number;
  k: number;
  n: number;
  weights: WeightType;
  pass: LinearCase['pass'];
}

const MODEL_SIZES = [
  [2048, 2048],
  [2048, 11008],
  [11008, 2048],
] as const;
const MODEL_ROWS = [1, 8, 64, 1024];

/** A quarter of the published widths, and the toy model's own. */
const SMALL_SIZES = [
  [512, 512],
  [512, 2752],
  [128, 384],
] as const;
const SMALL_ROWS = [1, 8, 64];

/** All sizes and rows, forward; and from 64 rows on, as in training, the gradient of the input. */
function specs(sizes: readonly (readonly [number, number])[], rows: readonly number[]): LinearSpec[] {
  return WEIGHT_TYPES.flatMap((weight) =>
    sizes.flatMap(([k, n]) =>
      rows.flatMap((count): LinearSpec[] => {
        const spec = { rows: count, k, n, weights: weight };
        const forward: LinearSpec = { ...spec, pass: 'forward' };
        return count >= 64 ? [forward, { ...spec, pass: 'input-gradient' }] : [forward];
      }),
    ),
  );
}

/** The published model's layers, or smaller ones for a CPU adapter, with every type of weight. */
export function linearSpecs(shapes: 'model' | 'small'): LinearSpec[] {
  return shapes === 'model' ? specs(MODEL_SIZES, MODEL_ROWS) : specs(SMALL_SIZES, SMALL_ROWS);
}
