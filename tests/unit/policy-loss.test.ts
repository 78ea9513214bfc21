import { describe, expect, it } from 'vitest';
import { completionOffsets, tokenValues } from '../../src/cli/verify/grpo-reference';
import { type LossConfig, type LossInput, type LossType, policyLoss } from '../../src/grpo/policy-loss';
import meta from '../golden/grpo.json';
import { normals, seeded } from '../support/attention-cases';
import { loadGolden } from '../support/golden';

const base: LossConfig = {
  loss_type: 'grpo',
  beta: 0.01,
  epsilon: 0.2,
  epsilon_high: 0.2,
  importance_sampling_level: 'token',
  kl_clamp: 100,
  max_completion_length: 48,
};
const golden = await loadGolden('grpo.safetensors');
const offsets = completionOffsets(meta.loss);

/** The tokens of a recorded `[4, 70]`, one answer behind the other. */
function tokens(name: string): Float64Array {
  return Float64Array.from(tokenValues(golden.get(name)!.data, meta.loss));
}
const worst = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i]!)));

describe('policyLoss', () => {
  const logps = tokens('policy_logps');
  const ref_logps = tokens('ref_logps');
  const array = (name: string) => Array.from(golden.get(name)!.data);

  it('gives the original loss, its gradient and its KL', () => {
    const input = { logps, ref_logps, offsets, advantages: array('advantages') };
    const { loss, d_logps, metrics } = policyLoss(input, base);
    expect(Math.abs(loss - meta.loss.original_loss)).toBeLessThan(2e-7);
    expect(worst(d_logps, tokens('grad.policy_logps'))).toBeLessThan(1e-7);
    const still = policyLoss({ ...input, advantages: array('advantages_before_noise') }, base);
    expect(Math.abs(still.loss - meta.loss.original_loss_with_zero_noise)).toBeLessThan(2e-7);
    expect(metrics.kl).toBeCloseTo(tokens('per_token_kl').reduce((a, b) => a + b) / logps.length, 5);
  });

  it.each(meta.trl.cases)('gives TRL’s $name', (recorded) => {
    const config: LossConfig = {
      ...base,
      loss_type: recorded.loss_type as LossType,
      beta: recorded.beta,
      kl_clamp: Number.POSITIVE_INFINITY,
      importance_sampling_level: 'importance_sampling_level' in recorded ? 'sequence' : 'token',
    };
    const input: LossInput = {
      logps,
      ref_logps,
      offsets,
      advantages: array('advantages_before_noise'),
      ...(recorded.old_logps === 'current' ? {} : { old_logps: tokens('trl.old_logps') }),
    };
    const { loss, d_logps, metrics } = policyLoss(input, config);
    expect(Math.abs(loss - recorded.loss)).toBeLessThan(1e-6);
    const gradient = `grad.${recorded.name}`;
    if (golden.has(gradient)) expect(worst(d_logps, tokens(gradient))).toBeLessThan(1e-6);
    for (const [name, value] of Object.entries(recorded.metrics))
      expect(Math.abs(metrics[name as keyof typeof metrics]! - value), name).toBeLessThan(2e-6);
  });

  it('gives the recorded KL and its slope, clamped', () => {
    for (const { logp, ref_logp, kl, dkl_dlogp } of meta.kl_table) {
      const { loss, d_logps } = policyLoss(
        { logps: [logp], ref_logps: [ref_logp], offsets: [0, 1], advantages: [0] },
        { ...base, beta: 1 },
      );
      expect(Math.abs(loss - kl)).toBeLessThan(1e-5 * Math.max(1, kl));
      expect(Math.abs(d_logps[0]! - dkl_dlogp)).toBeLessThan(1e-5 * Math.max(1, Math.abs(dkl_dlogp)));
    }
  });

  it('has the gradient of central differences, masked answers and ragged groups included', () => {
    const random = seeded(4);
    const n = 23;
    const values = Float64Array.from(normals(random, n, 0.5));
    const old_logps = Float64Array.from(values, (x) => x + 0.2 * (random() - 0.5));
    const input: LossInput = {
      logps: values,
      old_logps,
      ref_logps: normals(random, n, 0.5),
      offsets: [0, 5, 6, 16, 23],
      advantages: [1.1, -0.4, 0.3, -1.2],
      masked: [false, false, true, false],
      num_items_in_batch: 40,
    };
    for (const loss_type of ['grpo', 'dr_grpo', 'dapo', 'bnpo'] as const)
      for (const importance_sampling_level of ['token', 'sequence'] as const) {
        const config = { ...base, beta: 0.1, epsilon: 0.05, loss_type, importance_sampling_level };
        const { d_logps } = policyLoss(input, config);
        for (let i = 0; i < n; i++) {
          const kept = values[i]!;
          values[i] = kept + 1e-6;
          const up = policyLoss(input, config).loss;
          values[i] = kept - 1e-6;
          const down = policyLoss(input, config).loss;
          values[i] = kept;
          expect(Math.abs((up - down) / 2e-6 - d_logps[i]!)).toBeLessThan(1e-7);
        }
        expect([...d_logps.subarray(6, 16)].every((x) => x === 0)).toBe(true);
      }
  });
});
