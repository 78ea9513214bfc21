import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Attention } from '../../src/attention/attention';
import { AttentionBackward } from '../../src/attention/backward';
import { attentionBackwardReference } from '../../src/attention/backward-reference';
import { KeyPlan } from '../../src/attention/key-plan';
import { AttentionPlan } from '../../src/attention/plan';
import type { AttentionShape } from '../../src/attention/reference';
import { type QueryRun, SegmentTree } from '../../src/attention/segment-tree';
import { type BackwardVariant, backwardVariantFor } from '../../src/attention/variants';
import { type Gpu, openGpu } from '../../src/gpu/device';
import { Recorder } from '../../src/gpu/recorder';
import { createTensor, readF32, uploadTensor } from '../../src/gpu/tensor';
import {
  goldenCases,
  goldenPrefixCases,
  normals,
  randomAttention,
  relativeError,
} from '../support/attention-cases';
import { loadGolden } from '../support/golden';

const TOLERANCE = 2e-6;
/** Inputs are of order 1; a row that sees one key has a gradient of 0 by cancellation. */
const UNIT = 0.5;
const POISON = 1e30;

interface Inputs {
  shape: AttentionShape;
  tree: SegmentTree;
  runs: QueryRun[];
  q: Float32Array<ArrayBuffer>;
  k: Float32Array<ArrayBuffer>;
  v: Float32Array<ArrayBuffer>;
  d_o: Float32Array<ArrayBuffer>;
  scale?: number;
}

describe('attention backward on the GPU', () => {
  let gpu: Gpu;
  beforeAll(async () => {
    gpu = await openGpu();
  });
  afterAll(() => gpu.close());

  /** Forward and backward into poisoned gradients. */
  async function run({ shape, tree, runs, q, k, v, d_o, scale }: Inputs, variant?: BackwardVariant) {
    const { q_heads, kv_heads, head_dim } = shape;
    const attention = await Attention.create(gpu, shape, scale, { kernels: 'forward' });
    const backward = await AttentionBackward.create(gpu, shape, scale, variant);
    const rows = q.length / q_heads / head_dim;
    const T = k.length / kv_heads / head_dim;
    const of = (values: Float32Array<ArrayBuffer>, heads: number, label: string) =>
      uploadTensor(gpu, values, [values.length / heads / head_dim, heads, head_dim], 'f32', label);
    const poison = (length: number) => new Float32Array(length).fill(POISON);
    const tensors = {
      q: of(q, q_heads, 'q'),
      k: of(k, kv_heads, 'k'),
      v: of(v, kv_heads, 'v'),
      o: createTensor(gpu, [rows, q_heads, head_dim], 'f32', 'o'),
      stats: createTensor(gpu, [rows, q_heads, 4], 'f32', 'stats'),
      d_o: of(d_o, q_heads, 'do'),
      dq: of(poison(q.length), q_heads, 'dq'),
      dk: of(poison(T * kv_heads * head_dim), kv_heads, 'dk'),
      dv: of(poison(T * kv_heads * head_dim), kv_heads, 'dv'),
    };
    const plan = AttentionPlan.create(gpu, tree, runs);
    const keys = KeyPlan.create(gpu, tree, runs);
    const recorder = new Recorder(gpu, 'attention backward');
    attention.record(recorder, plan, tensors);
    backward.record(recorder, plan, keys, tensors);
    recorder.submit();
    const result = {
      dq: await readF32(gpu, tensors.dq),
      dk: await readF32(gpu, tensors.dk),
      dv: await readF32(gpu, tensors.dv),
    };
    for (const tensor of Object.values(tensors)) tensor.buffer.destroy();
    plan.destroy();
    keys.destroy();
    attention.destroy();
    return result;
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

  it('gives the reference gradients on random trees, with the sizes meant for a CPU and for a GPU', async () => {
    const shapes: AttentionShape[] = [
      { q_heads: 4, kv_heads: 2, head_dim: 32 },
      { q_heads: 7, kv_heads: 1, head_dim: 8 },
      { q_heads: 2, kv_heads: 2, head_dim: 72 },
      { q_heads: 3, kv_heads: 1, head_dim: 16 },
    ];
    for (let seed = 1; seed <= 40; seed++) {
      const { tree, runs, rows, random } = randomAttention(seed);
      const shape = shapes[seed % shapes.length]!;
      const { q_heads, kv_heads, head_dim } = shape;
      const q = normals(random, rows * q_heads * head_dim);
      const k = normals(random, tree.capacity * kv_heads * head_dim, 0.5 + 2 * random());
      const v = normals(random, tree.capacity * kv_heads * head_dim);
      const d_o = normals(random, q.length);
      const want = attentionBackwardReference(shape, tree, runs, q, k, v, d_o);
      const got = await run({ shape, tree, runs, q, k, v, d_o }, backwardVariantFor(shape, seed % 3 > 0));
      expect(relativeError(got.dq, want.dq, UNIT), `seed ${seed} dq`).toBeLessThan(TOLERANCE);
      for (const key of ['dk', 'dv'] as const) {
        const values = inUse(got[key], tree, kv_heads * head_dim);
        expect(relativeError(values, want[key], UNIT), `seed ${seed} ${key}`).toBeLessThan(TOLERANCE);
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
