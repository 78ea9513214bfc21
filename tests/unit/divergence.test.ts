import { describe, expect, it } from 'vitest';
import { divergence, logSoftmax } from '../../src/cli/evaluate/divergence';
import { NAMED_PRECISIONS, precisionTable } from '../../src/cli/evaluate/precision-table';

describe('divergence of next-token distributions', () => {
  it('logSoftmax: probabilities that sum to one, at any size of the logits', () => {
    for (const shift of [0, 1e4, -1e4]) {
      const logp = logSoftmax(Float32Array.of(1 + shift, 2 + shift, 3 + shift));
      expect(logp.reduce((sum, value) => sum + Math.exp(value), 0)).toBeCloseTo(1, 3);
    }
    // Written out: e^3 / (e + e^2 + e^3).
    expect(Math.exp(logSoftmax(Float32Array.of(1, 2, 3))[2]!)).toBeCloseTo(0.66524096, 6);
  });

  it('is zero for equal ones, and what the sum says for others', () => {
    const p = Float32Array.from([0.5, 0.25, 0.25], Math.log);
    const q = Float32Array.from([0.25, 0.25, 0.5], Math.log);
    expect(divergence(p, p)).toBe(0);
    expect(divergence(p, q)).toBeCloseTo(0.5 * Math.log(2) + 0.25 * Math.log(0.5), 6);
  });
});

it('the table names every part where they differ', () => {
  const outcome = {
    name: 'mixed',
    precision: NAMED_PRECISIONS.mixed!,
    weight_bytes: 1_234_567,
    parts: [],
    questions: 4,
    accuracy_greedy: 0.75,
    accuracy_sampled: 0.5,
    mean_kl: 0.0123,
    max_kl: 1.5,
    tokens: 100,
    same_token: 0.99,
  };
  const row = precisionTable([outcome]).at(-1)!;
  expect(row).toContain(
    '| mixed (q4, q8, f16, f16) | 1.23 MB | 75.0 % | 50.0 % | 1.2e-2 | 1.5e+0 | 99.0 % |',
  );
});
