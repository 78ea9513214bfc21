import type { Gpu } from '../../src/gpu/device';
import { parseConfig, type TinyLlavaConfig } from '../../src/model/config';
import { expectedTensors } from '../../src/model/tensor-names';
import { openCheckpoint } from '../../src/weights/checkpoint';
import { loadWeights, type Weights } from '../../src/weights/load-weights';
import { goldenStore } from './golden';

/** Config and weights of the F32 golden checkpoint; `change` replaces top-level fields of config.json. */
export async function loadGoldenModel(
  gpu: Gpu,
  change: Record<string, unknown> = {},
): Promise<{ config: TinyLlavaConfig; weights: Weights }> {
  const checkpoint = await openCheckpoint(await goldenStore(), { weights: 'model.safetensors' });
  const config = parseConfig({ ...(checkpoint.config as Record<string, unknown>), ...change });
  return { config, weights: await loadWeights(gpu, checkpoint, expectedTensors(config)) };
}

/** Largest difference of two arrays, relative to the largest value expected. NaN counts as infinite. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) {
    throw new Error(`${actual.length} values came, and ${expected.length} were expected.`);
  }
  let worst = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    worst = Math.max(worst, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
    largest = Math.max(largest, Math.abs(expected[i]!));
  }
  return worst / largest;
}
