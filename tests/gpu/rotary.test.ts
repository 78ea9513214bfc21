import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AttentionPlan } from '../../src/attention/plan';
import { RotaryAppend, type RotaryOptions, rotaryReference } from '../../src/attention/rotary';
import { RotaryBackward } from '../../src/attention/rotary-backward';
import { type QueryRun, SegmentTree } from '../../src/attention/segment-tree';
import type { Gpu } from '../../src/gpu/device';
import { Recorder } from '../../src/gpu/recorder';
import { type GpuTensor, readF32, readTensor, uploadTensor } from '../../src/gpu/tensor';
import { normals, relativeError, seeded } from '../support/attention-cases';
import { fromHalf, toHalf } from '../support/half';
import { sharedGpu } from '../support/shared-gpu';

describe('rotary embedding and KV append', () => {
  let gpu: Gpu;
  beforeAll(async () => {
    gpu = await sharedGpu();
  });
  afterAll(() => gpu.close());

  for (const shape of [
    { q_heads: 4, kv_heads: 2, head_dim: 32 },
    { q_heads: 3, kv_heads: 1, head_dim: 72 },
    { q_heads: 2, kv_heads: 2, head_dim: 8 },
    { q_heads: 4, kv_heads: 1, head_dim: 128 },
  ]) {
    it(`rotates q in place and appends k and v, ${JSON.stringify(shape)}`, async () => {
      const { q_heads, kv_heads, head_dim } = shape;
      const random = seeded(head_dim);
      const theta = 1e6;
      const tree = new SegmentTree();
      const prefix = tree.add({ parent: -1, capacity: 2000, causal: true });
      tree.append(prefix, 1990);
      const a = tree.add({ parent: prefix, capacity: 6, causal: true });
      const b = tree.add({ parent: prefix, capacity: 6, causal: true });
      tree.append(a, 5);
      tree.append(b, 2);
      const runs: QueryRun[] = [
        { row: 0, count: 2, segment: a, offset: 3 },
        { row: 2, count: 7, segment: prefix, offset: 0 },
        { row: 10, count: 1, segment: b, offset: 1 },
      ];
      const positions = [1993, 1994, 0, 1, 2, 3, 4, 5, 6, Number.NaN, 1991];
      const slots = [2003, 2004, 0, 1, 2, 3, 4, 5, 6, Number.NaN, 2007];
      const rows = positions.length;
      const q = normals(random, rows * q_heads * head_dim);
      const k = normals(random, rows * kv_heads * head_dim);
      const v = normals(random, rows * kv_heads * head_dim);
      const cache = new Float32Array(tree.capacity * kv_heads * head_dim).fill(7);
      const kvShape = [tree.capacity, kv_heads, head_dim];
      const tensors = {
        q: uploadTensor(gpu, q, [rows, q_heads, head_dim], 'f32', 'q'),
        k: uploadTensor(gpu, k, [rows, kv_heads, head_dim], 'f32', 'k'),
        v: uploadTensor(gpu, v, [rows, kv_heads, head_dim], 'f32', 'v'),
        k_cache: uploadTensor(gpu, cache, kvShape, 'f32', 'k cache'),
        v_cache: uploadTensor(gpu, cache, kvShape, 'f32', 'v cache'),
      };
      const rotary = await RotaryAppend.create(gpu, shape, { theta, max_positions: 2048 });
      const recorder = new Recorder(gpu, 'rotary');
      rotary.record(recorder, AttentionPlan.create(gpu, tree, runs), tensors);
      recorder.submit();
      const want = rotaryReference(q, q_heads, head_dim, positions, theta);
      want.set(q.subarray(9 * q_heads * head_dim, 10 * q_heads * head_dim), 9 * q_heads * head_dim);
      expect(relativeError(await readF32(gpu, tensors.q), want)).toBeLessThan(2e-7);
      const wantK = Float64Array.from(cache);
      const wantV = cache.slice();
      const rotated = rotaryReference(k, kv_heads, head_dim, positions, theta);
      const width = kv_heads * head_dim;
      for (const [row, slot] of slots.entries()) {
        if (Number.isNaN(slot)) continue; // in no run
        wantK.set(rotated.subarray(row * width, (row + 1) * width), slot * width);
        wantV.set(v.subarray(row * width, (row + 1) * width), slot * width);
      }
      expect(relativeError(await readF32(gpu, tensors.k_cache), wantK)).toBeLessThan(2e-7);
      expect(await readF32(gpu, tensors.v_cache)).toEqual(wantV);
      // Backward: the opposite rotation, out of the gradients of the caches.
      const dCache = normals(random, cache.length);
      const dq = normals(random, q.length);
      const gradients = {
        dq: uploadTensor(gpu, dq, [rows, q_heads, head_dim], 'f32', 'dq'),
        dk_cache: uploadTensor(gpu, dCache, kvShape, 'f32', 'dk cache'),
        dv_cache: uploadTensor(gpu, dCache, kvShape, 'f32', 'dv cache'),
        dk: uploadTensor(gpu, new Float32Array(k.length).fill(7), [rows, kv_heads, head_dim], 'f32', 'dk'),
        dv: uploadTensor(gpu, new Float32Array(v.length).fill(7), [rows, kv_heads, head_dim], 'f32', 'dv'),
      };
      const backward = await RotaryBackward.create(gpu, rotary);
      backward.record(recorder, AttentionPlan.create(gpu, tree, runs), gradients);
      recorder.submit();
      const back = positions.map((position) => -position);
      const wantDq = rotaryReference(dq, q_heads, head_dim, back, theta);
      wantDq.set(dq.subarray(9 * q_heads * head_dim, 10 * q_heads * head_dim), 9 * q_heads * head_dim);
      expect(relativeError(await readF32(gpu, gradients.dq), wantDq)).toBeLessThan(2e-7);
      const wantDv = new Float32Array(v.length).fill(7);
      const taken = new Float32Array(k.length);
      for (const [row, slot] of slots.entries()) {
        if (Number.isNaN(slot)) continue;
        const values = dCache.subarray(slot * width, (slot + 1) * width);
        taken.set(values, row * width);
        wantDv.set(values, row * width);
      }
      const wantDk = rotaryReference(taken, kv_heads, head_dim, back, theta);
      wantDk.fill(7, 9 * width, 10 * width);
      expect(relativeError(await readF32(gpu, gradients.dk), wantDk)).toBeLessThan(2e-7);
      expect(await readF32(gpu, gradients.dv)).toEqual(wantDv);
      rotary.destroy();
    });
  }

  it('gives the same into caches larger than a binding, and the nearest f16 into those of f16', async () => {
    const shape = { q_heads: 4, kv_heads: 2, head_dim: 32 };
    const random = seeded(4);
    const tree = new SegmentTree();
    tree.append(tree.add({ parent: -1, capacity: 50, causal: true }), 50);
    const runs: QueryRun[] = [{ row: 0, count: 41, segment: 0, offset: 9 }];
    const q = normals(random, 41 * 128);
    const k = normals(random, 41 * 64, 50);
    const v = normals(random, 41 * 64);
    const d_cache = normals(random, 50 * 64);
    const run = async (options: Pick<RotaryOptions, 'types' | 'binding_limit'>) => {
      const cache = options.types?.cache ?? 'f32';
      const values = (x: Float32Array<ArrayBuffer>) => (cache === 'f16' ? toHalf(x) : x);
      const upload = (x: Float32Array<ArrayBuffer>, heads: number) =>
        uploadTensor(gpu, x, [x.length / heads / 32, heads, 32], 'f32', 'rows');
      const uploadCache = (x: Float32Array<ArrayBuffer>) =>
        uploadTensor(gpu, values(x), [50, 2, 32], cache, 'cache');
      const poisoned = () => new Float32Array(50 * 64).fill(7);
      const forward = {
        q: upload(q, 4),
        k: upload(k, 2),
        v: upload(v, 2),
        k_cache: uploadCache(poisoned()),
        v_cache: uploadCache(poisoned()),
      };
      const back = {
        dq: upload(q, 4),
        dk_cache: uploadCache(d_cache),
        dv_cache: uploadCache(d_cache),
        dk: upload(new Float32Array(k.length), 2),
        dv: upload(new Float32Array(v.length), 2),
      };
      const rotary = await RotaryAppend.create(gpu, shape, { theta: 1e6, max_positions: 64, ...options });
      const backward = await RotaryBackward.create(gpu, rotary);
      const plan = AttentionPlan.create(gpu, tree, runs);
      const recorder = new Recorder(gpu, 'rotary');
      rotary.record(recorder, plan, forward);
      backward.record(recorder, plan, back);
      recorder.submit();
      const read = (tensor: GpuTensor) => readTensor(gpu, tensor);
      const out = [forward.q, forward.k_cache, forward.v_cache, back.dq, back.dk, back.dv];
      const results = await Promise.all(out.map(read));
      for (const { buffer } of [...Object.values(forward), ...Object.values(back)]) buffer.destroy();
      plan.destroy();
      rotary.destroy();
      return results;
    };
    const whole = await run({});
    expect(await run({ binding_limit: 16 * 64 * 4 })).toEqual(whole);
    if (!gpu.f16) return;
    const types = { rows: 'f32', cache: 'f16' } as const;
    const half = await run({ types });
    expect(half[0]).toEqual(whole[0]);
    for (const i of [1, 2]) {
      const got = fromHalf(half[i]!);
      for (const [j, x] of whole[i]!.entries())
        expect(Math.abs(got[j]! - x)).toBeLessThan(Math.abs(x) / 1024 + 1e-6);
    }
    expect(await run({ types, binding_limit: 16 * 64 * 2 })).toEqual(half);
  });

  it('refuses positions beyond its table', async () => {
    const shape = { q_heads: 1, kv_heads: 1, head_dim: 8 };
    const tree = new SegmentTree();
    tree.append(tree.add({ parent: -1, capacity: 9, causal: true }), 9);
    const plan = AttentionPlan.create(gpu, tree, [{ row: 0, count: 9, segment: 0, offset: 0 }]);
    const rotary = await RotaryAppend.create(gpu, shape, { theta: 1e6, max_positions: 8 });
    const x = uploadTensor(gpu, new Float32Array(72), [9, 1, 8], 'f32', 'x');
    const tensors = { q: x, k: x, v: x, k_cache: x, v_cache: x };
    expect(() => rotary.record(new Recorder(gpu, 'x'), plan, tensors)).toThrow(/8 positions/);
  });
});
