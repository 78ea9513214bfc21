import { beforeAll, describe, expect, it } from 'vitest';
import { attentionReference } from '../../src/attention/reference';
import {
  type AttentionCase,
  goldenCases,
  goldenPrefixCases,
  relativeError,
} from '../support/attention-cases';
import { loadGolden } from '../support/golden';

describe('the float64 attention', () => {
  let cases: AttentionCase[] = [];
  beforeAll(async () => {
    const golden = await loadGolden('attention.safetensors');
    cases = [...goldenCases(golden), ...goldenPrefixCases(golden)];
  });

  it('gives the recorded outputs and log-sum-exps', () => {
    expect(cases).toHaveLength(15);
    for (const c of cases) {
      const { o, lse } = attentionReference(c.shape, c.tree, c.runs, c.q, c.k, c.v, c.scale);
      expect(relativeError(o, c.o), `${c.name} o`).toBeLessThan(2e-6);
      expect(relativeError(lse, c.lse), `${c.name} lse`).toBeLessThan(2e-6);
    }
  });
});
