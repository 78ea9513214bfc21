import { type SampleCounter, sampleUniform } from './random';
import type { SampleRecord } from './sampler';
import type { DrawSettings } from './settings';

/** A record, and the distribution that was sampled from. */
export interface ReferenceSample extends SampleRecord {
  /** Tokens that survive truncation, most probable first, with their probabilities. */
  kept: { id: number; probability: number }[];
}

/**
 * The sampler in float64, by sorting. temperature, then top-k, then top-p on what top-k left, renormalised, then min-p
 * (the order of Hugging Face's generate): tokens whose probability is below min_p times the largest one are left out.
 * The nucleus is the fewest tokens, most probable first, whose mass is at least top_p; one at least. Equal logits are
 * ranked by id, and exactly k are kept (Hugging Face keeps all equals of the k-th). The token is that
 * at which the cumulative probability, in the order of ids, first exceeds the uniform number.
 */
export function sampleReference(
  logits: ArrayLike<number>,
  settings: DrawSettings,
  counter: SampleCounter,
): ReferenceSample {
  const values = Array.from(logits);
  const status =
    (values.some(Number.isNaN) ? 1 : 0) |
    (values.some((x) => x === Number.POSITIVE_INFINITY) ? 2 : 0) |
    (values.some(Number.isFinite) ? 0 : 4);
  if (status !== 0) {
    const none = { id: -1, logp: 0, entropy: 0, rank: 0, survivors: 0, sampling_logp: 0, prob: 0 };
    return { status, ...none, top: [], kept: [] };
  }
  const greedy = settings.temperature === 0;
  const temperature = greedy ? 1 : settings.temperature;
  const ranked = values
    .map((x, id) => ({ id, x: Math.min(1e30, x) }))
    .filter(({ x }) => x !== Number.NEGATIVE_INFINITY)
    .sort((a, b) => b.x - a.x || a.id - b.id);
  const largest = ranked[0]!.x;
  const weights = ranked.map(({ x }) => Math.exp((x - largest) / temperature));
  const sum = weights.reduce((a, b) => a + b, 0);
  const plainSum = ranked.reduce((a, { x }) => a + Math.exp(x - largest), 0);
  let count = ranked.length;
  if (greedy) count = 1;
  else {
    if (settings.top_k > 0) count = Math.min(count, settings.top_k);
    if (settings.top_p < 1) {
      const wanted = settings.top_p * weights.slice(0, count).reduce((a, b) => a + b, 0);
      let mass = 0;
      let nucleus = 0;
      while (nucleus < count && (nucleus === 0 || mass < wanted)) mass += weights[nucleus++]!;
      count = nucleus;
    }
    // Renormalising what is left does not change the ratio to the largest probability.
    const least = Math.log(settings.min_p ?? 0);
    while (count > 1 && (ranked[count - 1]!.x - largest) / temperature < least) count--;
  }
  const keptMass = weights.slice(0, count).reduce((a, b) => a + b, 0);
  const kept = ranked
    .slice(0, count)
    .map(({ id, x }, rank) => ({ id, x, rank, probability: weights[rank]! / keptMass }));
  const goal = sampleUniform(counter);
  let passed = 0;
  const byId = kept.filter((t) => t.probability > 0).sort((a, b) => a.id - b.id);
  const chosen =
    byId.find((t) => {
      passed += t.probability;
      return passed > goal;
    }) ?? byId.at(-1)!;
  return {
    status,
    id: chosen.id,
    logp: chosen.x - largest - Math.log(plainSum),
    entropy: weights.reduce((h, w) => (w > 0 ? h - (w / sum) * Math.log(w / sum) : h), 0),
    rank: chosen.rank,
    survivors: count,
    sampling_logp: Math.log(chosen.probability),
    prob: weights[chosen.rank]! / sum,
    top: ranked.slice(0, 8).map(({ id }, rank) => ({ id, probability: weights[rank]! / sum })),
    kept: kept.map(({ id, probability }) => ({ id, probability })),
  };
}
