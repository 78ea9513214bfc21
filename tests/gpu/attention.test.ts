import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Attention } from '../../src/attention/attention';
import { AttentionPlan } from '../../src/attention/plan';
import { type AttentionShape, attentionReference } from '../../src/attention/reference';
import { type QueryRun, SegmentTree } from '../../src/attention/segment-tree';
import { type AttentionVariant, type TileVariant, variantsFor } from '../../src/attention/variants';
import type { Gpu } from '../../src/gpu/device';
import { Recorder } from '../../src/gpu/recorder';
import { subgroupSize } from '../../src/gpu/subgroup-size';
import { readF32, uploadTensor } from '../../src/gpu/tensor';
import meta from '../golden/attention.json';
import {
  goldenCases,
  goldenPrefixCases,
  normals,
  randomAttention,
  relativeError,
  seeded,
} from '../support/attention-cases';
import { loadGolden } from '../support/golden';
import { type AttentionRun, POISON, type RunOptions, runAttention } from '../support/run-attention';
import { sharedGpu } from '../support/shared-gpu';

/** 2e-6 of the largest value: f32's own noise over some hundred keys is a fifth of it. */
const TOLERANCE = 2e-6;
/** f16 storage. */
const HALF_TOLERANCE = 2e-3;

/** A GPU with no more than WebGPU promises. */
const GPU_LIMITS = {
  isFallback: false,
  limits: { maxComputeWorkgroupStorageSize: 16_384, maxComputeInvocationsPerWorkgroup: 256 },
};

/** Small tiles: a CPU adapter takes 10 s to compile those of a GPU. */
const SMALL_TILES: TileVariant = {
  kind: 'tiles',
  ROWS: 16,
  FEW: 16,
  LANES: 8,
  BK: 1,
  subgroups: false,
  groups: 4,
};

describe('attention on the GPU', () => {
  let gpu: Gpu;
  beforeAll(async () => {
    gpu = await sharedGpu();
  });
  afterAll(() => gpu.close());

  /** The small tiles, and where the adapter has subgroups the same with shuffles, for its smallest subgroup. */
  function smallTiles(): AttentionVariant[] {
    const LANES = Math.min(8, subgroupSize(gpu));
    return LANES < 4 ? [SMALL_TILES] : [SMALL_TILES, { ...SMALL_TILES, LANES, BK: 2, subgroups: true }];
  }

  async function run(inputs: AttentionRun, options: RunOptions = {}) {
    return (await runAttention(gpu, [inputs], options))[0]!;
  }

  function segments(lengths: [parent: number, length: number, causal: boolean][]): SegmentTree {
    const tree = new SegmentTree();
    for (const [parent, length, causal] of lengths)
      tree.append(tree.add({ parent, capacity: length, causal }), length);
    return tree;
  }

  for (const name of [...meta.cases, ...meta.shared_prefix].map((c) => c.name)) {
    it(`gives the recorded values of ${name}`, async () => {
      const golden = await loadGolden('attention.safetensors');
      const c = [...goldenCases(golden), ...goldenPrefixCases(golden)].find((x) => x.name === name)!;
      const { shape, scale, tree, runs, q, k, v } = c;
      const inputs = { shape, scale, tree, runs, q, k, v };
      // Kernels with barriers compile slowly on a CPU adapter: two cases are their share.
      const tiles = /prefix1/.test(name) ? smallTiles() : /q7$/.test(name) ? [SMALL_TILES] : [];
      for (const variant of [undefined, ...tiles]) {
        const { o, lse } = await run(inputs, variant ? { variant } : {});
        expect(relativeError(o, c.o), `o ${variant?.kind}`).toBeLessThan(TOLERANCE);
        expect(relativeError(lse, c.lse), `lse ${variant?.kind}`).toBeLessThan(TOLERANCE);
      }
      if (!gpu.f16) return;
      const half = await run(inputs, { types: { rows: 'f16', cache: 'f16' } });
      expect(relativeError(half.o, c.o), 'o in f16').toBeLessThan(HALF_TOLERANCE);
      expect(relativeError(half.lse, c.lse), 'lse in f16').toBeLessThan(HALF_TOLERANCE);
    });
  }

  it('gives the reference values on random trees, in tiles and in registers', async () => {
    const shapes: [AttentionShape, AttentionVariant[]][] = [
      [
        { q_heads: 8, kv_heads: 2, head_dim: 16 },
        variantsFor({ q_heads: 8, kv_heads: 2, head_dim: 16 }, GPU_LIMITS),
      ],
      [{ q_heads: 3, kv_heads: 3, head_dim: 72 }, smallTiles()],
    ];
    for (const [i, [shape, variants]] of shapes.entries()) {
      const { q_heads, kv_heads, head_dim } = shape;
      const cases = Array.from({ length: 12 }, (_, j) => {
        const seed = 1000 * (i + 1) + j;
        const { tree, runs, rows, random } = randomAttention(seed);
        return {
          seed,
          inputs: {
            shape,
            tree,
            runs,
            q: normals(random, rows * q_heads * head_dim),
            k: normals(random, tree.capacity * kv_heads * head_dim, 0.5 + 2 * random()),
            v: normals(random, tree.capacity * kv_heads * head_dim),
          },
        };
      });
      for (const variant of variants) {
        const results = await runAttention(
          gpu,
          cases.map(({ inputs }) => inputs),
          { variant },
        );
        for (const [j, got] of results.entries()) {
          const { seed, inputs } = cases[j]!;
          const want = attentionReference(shape, inputs.tree, inputs.runs, inputs.q, inputs.k, inputs.v);
          expect(relativeError(got.o, want.o), `seed ${seed} o ${variant.kind}`).toBeLessThan(TOLERANCE);
          expect(relativeError(got.lse, want.lse), `seed ${seed} lse ${variant.kind}`).toBeLessThan(
            TOLERANCE,
          );
        }
      }
    }
  });

  it('gives the reference values at the sizes of the toy model', async () => {
    const random = seeded(99);
    const cases: [string, AttentionShape, SegmentTree, QueryRun[]][] = [];
    const frames = segments(Array.from({ length: 8 }, () => [-1, 64, false]));
    cases.push([
      'vision',
      { q_heads: 3, kv_heads: 3, head_dim: 32 },
      frames,
      frames.segments.map((_, i) => ({ row: 64 * i, count: 64, segment: i, offset: 0 })),
    ]);
    const groups = segments(Array.from({ length: 8 }, () => [-1, 71, false]));
    cases.push([
      'resampler',
      { q_heads: 8, kv_heads: 8, head_dim: 64 },
      groups,
      groups.segments.map((_, i) => ({ row: 8 * i, count: 8, segment: i, offset: 0 })),
    ]);
    const chat = segments([[-1, 190, true]]);
    const lm = { q_heads: 4, kv_heads: 2, head_dim: 32 };
    cases.push(['prefill', lm, chat, [{ row: 0, count: 190, segment: 0, offset: 0 }]]);
    const answers = segments([
      [-1, 190, true],
      ...Array.from({ length: 8 }, (_, i): [number, number, boolean] => [0, 1 + 13 * i, true]),
    ]);
    cases.push([
      'decode',
      lm,
      answers,
      Array.from({ length: 8 }, (_, i) => ({ row: i, count: 1, segment: i + 1, offset: 13 * i })),
    ]);
    for (const [name, shape, tree, runs] of cases) {
      const rows = runs.reduce((n, r) => n + r.count, 0);
      const { q_heads, kv_heads, head_dim } = shape;
      const q = normals(random, rows * q_heads * head_dim);
      const k = normals(random, tree.capacity * kv_heads * head_dim, 2);
      const v = normals(random, tree.capacity * kv_heads * head_dim);
      const inputs = { shape, tree, runs, q, k, v };
      const got = await run(inputs);
      const want = attentionReference(shape, tree, runs, q, k, v);
      expect(relativeError(got.o, want.o), `${name} o`).toBeLessThan(TOLERANCE);
      expect(relativeError(got.lse, want.lse), `${name} lse`).toBeLessThan(TOLERANCE);
      const again = await run(inputs, { stats: false });
      expect(again.o, `${name} again`).toEqual(got.o);
      expect(again.stats.every((x) => x === Math.fround(POISON))).toBe(true);
    }
  });

  it('handles scores of +-1e4, equal scores, one key that takes all, and a single key', async () => {
    const shape = { q_heads: 2, kv_heads: 1, head_dim: 16 };
    const random = seeded(5);
    const n = 37;
    const tree = segments([
      [-1, n, false],
      [-1, 1, true],
    ]);
    const runs: QueryRun[] = [
      { row: 0, count: 4, segment: 0, offset: 0 },
      { row: 4, count: 1, segment: 1, offset: 0 },
    ];
    const v = normals(random, (n + 1) * 16);
    // Key j is one hot in element 0 with the value of its score; a query row picks which scores it makes of it.
    const scores = Float32Array.from({ length: n }, (_, j) => (j === 11 ? 1 : j % 2 === 0 ? -1 : 0.5));
    const k = new Float32Array((n + 1) * 16);
    for (let j = 0; j < n; j++) k[16 * j] = scores[j]!;
    k[16 * n] = 1;
    const q = new Float32Array(5 * 2 * 16);
    for (const [row, value] of [4e4, -4e4, 0, 400, -4e4].entries())
      for (const h of [0, 1]) q[(row * 2 + h) * 16] = value;
    const want = attentionReference(shape, tree, runs, q, k, v);
    for (const options of [{}, ...smallTiles().map((variant) => ({ variant }))]) {
      const got = await run({ shape, tree, runs, q, k, v }, options);
      expect(relativeError(got.o, want.o)).toBeLessThan(TOLERANCE);
      expect(relativeError(got.lse, want.lse)).toBeLessThan(TOLERANCE);
      expect([...got.o.subarray(4 * 32, 4 * 32 + 16)]).toEqual([...v.subarray(16 * n)]);
      expect([...got.o.subarray(0, 16)]).toEqual([...v.subarray(16 * 11, 16 * 12)]);
    }
  });

  it('takes a plan that is updated step by step', async () => {
    const shape = { q_heads: 4, kv_heads: 2, head_dim: 32 };
    const random = seeded(8);
    const tree = segments([[-1, 20, true]]);
    const children = [0, 1, 2].map(() => tree.add({ parent: 0, capacity: 8, causal: true }));
    const keys = tree.capacity;
    const q = normals(random, 3 * 4 * 32);
    const k = normals(random, keys * 2 * 32);
    const v = normals(random, keys * 2 * 32);
    const attention = await Attention.create(gpu, shape);
    const plan = new AttentionPlan(gpu, { max_rows: 3 });
    const tensors = {
      q: uploadTensor(gpu, q, [3, 4, 32], 'f32', 'q'),
      k: uploadTensor(gpu, k, [keys, 2, 32], 'f32', 'k'),
      v: uploadTensor(gpu, v, [keys, 2, 32], 'f32', 'v'),
    };
    const steps: { o: ReturnType<typeof uploadTensor>; want: Float64Array }[] = [];
    let buffers = 0;
    for (let step = 0; step < 6; step++) {
      // The middle sequence ends after three steps.
      const alive = children.filter((_, i) => i !== 1 || step < 3);
      const runs = alive.map((segment, row) => {
        const { slot } = tree.append(segment, 1);
        return { row, count: 1, segment, offset: slot - tree.segments[segment]!.start };
      });
      plan.update(tree, runs);
      const o = uploadTensor(gpu, new Float32Array(3 * 128).fill(Number.NaN), [3, 4, 32], 'f32', 'o');
      const recorder = new Recorder(gpu, 'step');
      attention.record(recorder, plan, { ...tensors, o });
      recorder.submit();
      steps.push({ o, want: attentionReference(shape, tree, runs, q, k, v).o });
      if (step === 0) buffers = gpu.memory.buffers;
    }
    expect(gpu.memory.buffers - buffers).toBe(5); // the other steps' outputs
    for (const { o, want } of steps) {
      const got = await readF32(gpu, o);
      const written = want.map((x, i) => (Number.isNaN(x) ? i : -1)).filter((i) => i >= 0)[0] ?? got.length;
      expect(relativeError(got.subarray(0, written), want.subarray(0, written))).toBeLessThan(TOLERANCE);
      expect(got.subarray(written).every(Number.isNaN)).toBe(true);
    }
  });

  it('says what is wrong with a shape or a plan', async () => {
    await expect(Attention.create(gpu, { q_heads: 2, kv_heads: 2, head_dim: 36 })).rejects.toThrow(
      /multiples of 8/,
    );
    await expect(Attention.create(gpu, { q_heads: 3, kv_heads: 2, head_dim: 32 })).rejects.toThrow(
      /cannot be shared/,
    );
    const tree = segments([[-1, 4, true]]);
    expect(() => AttentionPlan.create(gpu, tree, [{ row: 0, count: 5, segment: 0, offset: 0 }])).toThrow(
      /append them to the tree/,
    );
  });
});
