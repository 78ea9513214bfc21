import { describe, expect, it } from 'vitest';
import { visibleRanges } from '../../src/attention/reference';
import { copiedLayout, copyPrefix, sharedLayout } from '../../src/bench/attention-scene';
import { type AttentionSpec, MODEL_ATTENTION, SMALL_ATTENTION } from '../../src/bench/attention-specs';
import { roundToHalves, toHalves } from '../../src/bench/halves';
import { randomValues } from '../../src/bench/random-values';
import { judge, rates } from '../../src/bench/report';
import { median } from '../../src/bench/stopwatch';

const SPEC: AttentionSpec = {
  kernel: 'prefill',
  shape: { q_heads: 4, kv_heads: 2, head_dim: 8 },
  prefix: 5,
  children: 3,
  suffix: 2,
  causal: true,
  dtype: 'f32',
};

describe('bench', () => {
  it('rounds to halves as IEEE 754 says', () => {
    const values = Float32Array.of(1, -2, 0.5, 1 / 3, 2 ** -20, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 0, 65504);
    expect([...toHalves(values)]).toEqual([
      0x3c00, 0xc000, 0x3800, 0x3555, 0x0010, 0x3c00, 0x3c02, 0, 0x7bff,
    ]);
    expect([...roundToHalves(Float32Array.of(0.1))]).toEqual([0.0999755859375]);
  });

  it('knows the lower of the two ceilings', () => {
    const ceilings = { copy_gbps: 100, f32_gflops: 1000, f16_gflops: null };
    // 2 operations a byte: 200 GFLOP/s is all that the memory allows.
    const memory = rates({ operations: 2e9, bytes: 1e9 }, 20, ceilings);
    expect(memory).toEqual({ gflops: 100, gbps: 50, roofline_share: 0.5 });
    // 100 operations a byte: the arithmetic is the limit.
    expect(rates({ operations: 1e11, bytes: 1e9 }, 400, ceilings).roofline_share).toBeCloseTo(0.25);
  });

  it('judges by the worst case', () => {
    const found = [
      { shape: 'a', value: 1.2 },
      { shape: 'b', value: 4.5 },
      { shape: 'c', value: 0.5 },
    ];
    expect(judge('x', 4, 'above', found)).toMatchObject({ met: 2, of: 3, worst: 4.5, shape: 'b', ok: false });
    expect(judge('x', 0.4, 'below', found)).toMatchObject({ met: 3, worst: 0.5, shape: 'c', ok: true });
    expect(judge('x', 1, 'below', [{ shape: 'n', value: Number.NaN }]).ok).toBe(false);
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
  });

  it('lets the rows of a copied layout see what they see in the shared one', () => {
    for (const kernel of ['prefill', 'decode'] as const) {
      const spec = { ...SPEC, kernel };
      const shared = sharedLayout(spec);
      const copied = copiedLayout(spec);
      // A row holds its own number: what is seen is compared by value.
      const stored = Float32Array.from({ length: shared.tree.capacity }, (_, i) => i);
      const repeated = copyPrefix(spec, stored, 1);
      const seen = ({ tree, runs }: typeof shared, values: Float32Array) =>
        runs.flatMap(({ count, segment, offset }) =>
          Array.from({ length: count }, (_, i) =>
            visibleRanges(tree, segment, offset + i).flatMap(([start, n]) => [
              ...values.subarray(start, start + n),
            ]),
          ),
        );
      expect(seen(copied, repeated)).toEqual(seen(shared, stored));
    }
  });

  it('has the shapes of the real models, and values in range', () => {
    const decoded = MODEL_ATTENTION.filter(({ kernel }) => kernel === 'decode');
    expect(new Set(decoded.map(({ prefix }) => prefix))).toEqual(new Set([700, 2000, 16384]));
    expect(new Set(decoded.map(({ children }) => children))).toEqual(new Set([1, 4, 8, 16]));
    expect(SMALL_ATTENTION.some(({ kernel }) => kernel === 'backward')).toBe(true);
    const values = randomValues(7, 10_000);
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(1);
    expect(Math.abs(values.reduce((a, b) => a + b, 0) / values.length)).toBeLessThan(0.05);
  });
});
