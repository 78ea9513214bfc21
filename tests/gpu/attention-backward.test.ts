import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attentionBackwardReference } from '../../src/attention/backward-reference';
import { type AttentionShape, attentionReference } from '../../src/attention/reference';
import { type QueryRun, SegmentTree } from '../../src/attention/segment-tree';
import { backwardVariantsFor } from '../../src/attention/variants';
import type { Gpu } from '../../src/gpu/device';
import { subgroupsOfFour } from '../../src/gpu/subgroup-size';
import {
  goldenCases,
  goldenPrefixCases,
  normals,
  randomAttention,
  relativeError,
} from '../support/attention-cases';
import { loadGolden } from '../support/golden';
import { fromHalf, toHalf } from '../support/half';
import { type AttentionRun, POISON, type RunOptions, runAttention } from '../support/run-attention';
import { sharedGpu } from '../support/shared-gpu';

const TOLERANCE = 2e-6;
/** f16 storage. */
const HALF_TOLERANCE = 2e-3;
/** Inputs are of order 1; a row that sees one key has a gradient of 0 by cancellation. */
const UNIT = 0.5;

describe('attention backward on the GPU', () => {
  let gpu: Gpu;
  beforeAll(async () => {
    gpu = await sharedGpu();
  });
  afterAll(() => gpu.close());

  async function run(inputs: AttentionRun, options: RunOptions = {}) {
    return (await runAttention(gpu, [inputs], options))[0]!;
  }

  /** Rows of the KV storage that no segment uses must stay poisoned: they are taken out before comparing. */
  function inUse(values: Float32Array, tree: SegmentTree, width: number): Float32Array {
    const out = values.slice();
    let at = 0;
    for (const segment of tree.segments) {
      const end = segment.start + segment.length;
      expect(values.subarray(at * width, segment.start * width).every((x) => x === Math.fround(POISON))).toBe(
        true,
      );
      out.fill(0, at * width, segment.start * width);
      at = end;
    }
    expect(values.subarray(at * width).every((x) => x === Math.fround(POISON))).toBe(true);
    out.fill(0, at * width);
    return out;
  }

  // verify.test.ts runs all recorded cases; a shape's kernels take seconds to compile, so here are the telling ones.
  it('gives the recorded gradients of shared prefixes, and of a full attention', async () => {
    const golden = await loadGolden('attention.safetensors');
    const full = goldenCases(golden).find(({ name }) => name === 'full_cross_d64_q2')!;
    for (const c of [full, ...goldenPrefixCases(golden)]) {
      const got = await run(c);
      for (const key of ['dq', 'dk', 'dv'] as const)
        expect(relativeError(got[key], c[key], UNIT), `${c.name} ${key}`).toBeLessThan(TOLERANCE);
    }
  });

  it('gives the recorded gradients with everything in f16', async (context) => {
    if (!gpu.f16) context.skip('This adapter has no shader-f16.');
    const golden = await loadGolden('attention.safetensors');
    const cases = [...goldenCases(golden), ...goldenPrefixCases(golden)];
    for (const c of cases.filter(({ name }) => /prefix[12]$|gqa8_d32_q7|full_cross/.test(name))) {
      const got = await run(c, { types: { rows: 'f16', cache: 'f16' } });
      for (const key of ['o', 'dq', 'dk', 'dv'] as const)
        expect(relativeError(got[key], c[key], UNIT), `${c.name} ${key}`).toBeLessThan(HALF_TOLERANCE);
    }
  });

  // Each kind of kernel that the adapter may run, on a tree with rows that no segment uses.
  it('gives the reference gradients of small heads in f16', async (context) => {
    if (!gpu.f16) context.skip('This adapter has no shader-f16.');
    const shape = { q_heads: 2, kv_heads: 1, head_dim: 8 };
    const { tree, runs, rows, random } = randomAttention(7);
    const halves = (count: number) => fromHalf(toHalf(normals(random, count)));
    const q = halves(rows * 2 * 8);
    const [k, v] = [halves(tree.capacity * 8), halves(tree.capacity * 8)];
    const d_o = halves(q.length);
    const want = attentionBackwardReference(shape, tree, runs, q, k, v, d_o);
    for (const backward of backwardVariantsFor(shape, gpu.adapter, subgroupsOfFour(gpu))) {
      const options = { backward, types: { rows: 'f16', cache: 'f16' } } as const;
      const got = await run({ shape, tree, runs, q, k, v, d_o }, options);
      const found = { dq: got.dq, dk: inUse(got.dk, tree, 8), dv: inUse(got.dv, tree, 8) };
      for (const key of ['dq', 'dk', 'dv'] as const)
        expect(relativeError(found[key], want[key], UNIT), `${backward.kind} ${key}`).toBeLessThan(
          HALF_TOLERANCE,
        );
    }
  });

  it('gives the reference values and gradients on 200 random trees', async () => {
    const shapes: AttentionShape[] = [
      { q_heads: 4, kv_heads: 2, head_dim: 32 },
      { q_heads: 7, kv_heads: 1, head_dim: 8 },
      { q_heads: 2, kv_heads: 2, head_dim: 72 },
      { q_heads: 3, kv_heads: 1, head_dim: 16 },
    ];
    for (const [i, shape] of shapes.entries()) {
      const { q_heads, kv_heads, head_dim } = shape;
      const cases = Array.from({ length: 50 }, (_, j) => {
        const seed = 1 + 50 * i + j;
        const { tree, runs, rows, random } = randomAttention(seed);
        const deviation = 0.5 + 2 * random();
        const q = normals(random, rows * q_heads * head_dim);
        const k = normals(random, tree.capacity * kv_heads * head_dim, deviation);
        const v = normals(random, tree.capacity * kv_heads * head_dim);
        const d_o = normals(random, q.length);
        return { seed, inputs: { shape, tree, runs, q, k, v, d_o } };
      });
      const inputs = cases.map((c) => c.inputs);
      // What runs where the best kernels cannot, on a part of them.
      const last = backwardVariantsFor(shape, gpu.adapter, subgroupsOfFour(gpu)).at(-1)!;
      // A GPU's kernels, for two shapes: they take long to compile here.
      const tiles = backwardVariantsFor(shape, { ...gpu.adapter, isFallback: false }, false)[0]!;
      expect(tiles.kind).toBe('tiles');
      const gpus = shape.head_dim === 16 || shape.head_dim === 72 ? { backward: tiles } : {};
      // Keys and values of the last ones are larger than a binding may be.
      const rowBytes = kv_heads * head_dim * 4;
      const results = [
        ...(await runAttention(gpu, inputs.slice(0, 20))),
        ...(await runAttention(gpu, inputs.slice(20, 25), gpus)),
        ...(await runAttention(gpu, inputs.slice(25, 35), { backward: last })),
        ...(await runAttention(gpu, inputs.slice(35, 45), { binding_limit: 33 * rowBytes })),
        ...(await runAttention(gpu, inputs.slice(45), { ...gpus, binding_limit: 33 * rowBytes })),
      ];
      for (const [j, got] of results.entries()) {
        const { seed } = cases[j]!;
        const { tree, runs, q, k, v, d_o } = inputs[j]!;
        const forward = attentionReference(shape, tree, runs, q, k, v);
        expect(relativeError(got.o, forward.o), `seed ${seed} o`).toBeLessThan(TOLERANCE);
        expect(relativeError(got.lse, forward.lse, UNIT), `seed ${seed} lse`).toBeLessThan(TOLERANCE);
        const want = attentionBackwardReference(shape, tree, runs, q, k, v, d_o);
        expect(relativeError(got.dq, want.dq, UNIT), `seed ${seed} dq`).toBeLessThan(TOLERANCE);
        for (const key of ['dk', 'dv'] as const) {
          const values = inUse(got[key], tree, kv_heads * head_dim);
          expect(relativeError(values, want[key], UNIT), `seed ${seed} ${key}`).toBeLessThan(TOLERANCE);
        }
      }
    }
  });

  it('stays right at scores of +-1e4, and gives the same bits twice', async () => {
    const shape = { q_heads: 2, kv_heads: 1, head_dim: 16 };
    const { random } = randomAttention(3);
    const n = 37;
    const tree = new SegmentTree();
    tree.append(tree.add({ parent: -1, capacity: n, causal: false }), n);
    tree.append(tree.add({ parent: -1, capacity: 1, causal: true }), 1);
    const runs: QueryRun[] = [
      { row: 0, count: 4, segment: 0, offset: 0 },
      { row: 4, count: 1, segment: 1, offset: 0 },
    ];
    const v = normals(random, (n + 1) * 16);
    const d_o = normals(random, 5 * 2 * 16);
    // Key j has its score in element 0: all equal, or one that takes all.
    const k = new Float32Array((n + 1) * 16);
    for (let j = 0; j <= n; j++) k[16 * j] = j === 11 ? 1 : 0.5;
    const q = new Float32Array(5 * 2 * 16);
    for (const [row, value] of [4e4, -4e4, 0, 400, -4e4].entries())
      for (const h of [0, 1]) q[(row * 2 + h) * 16] = value;
    const want = attentionBackwardReference(shape, tree, runs, q, k, v, d_o);
    const got = await run({ shape, tree, runs, q, k, v, d_o });
    const again = await run({ shape, tree, runs, q, k, v, d_o });
    for (const key of ['dq', 'dk', 'dv'] as const) {
      expect(relativeError(got[key], want[key]), key).toBeLessThan(TOLERANCE);
      expect(again[key]).toEqual(got[key]);
    }
  });
});
