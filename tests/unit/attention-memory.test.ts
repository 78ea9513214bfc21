import { expect, it } from 'vitest';
import { Attention } from '../../src/attention/attention';
import { AttentionPlan } from '../../src/attention/plan';
import { SegmentTree } from '../../src/attention/segment-tree';
import { layoutFor } from '../../src/attention/variants';
import { GpuMemoryError } from '../../src/gpu/errors';
import { Recorder } from '../../src/gpu/recorder';
import { createTensor } from '../../src/gpu/tensor';
import { nodeCountingGpu } from '../support/counting';

const SHAPE = { q_heads: 4, kv_heads: 2, head_dim: 32 };
const LIMIT = 2 ** 31;
const PARTS = /attention parts$/;

it('parts that found no room are not bound again once there is room', async () => {
  const gpu = nodeCountingGpu(LIMIT);
  const bound: GPUBuffer[] = [];
  gpu.device.createBindGroup = ({ entries }) => {
    bound.push(...[...entries].map(({ resource }) => (resource as GPUBufferBinding).buffer));
    return {} as GPUBindGroup;
  };
  const attention = await Attention.create(gpu, SHAPE);
  const tree = new SegmentTree();
  // Two answers under a prompt: their parts are joined.
  const prompt = tree.add({ parent: -1, capacity: 256, causal: true });
  tree.append(prompt, 256);
  const runs = [0, 1].map((row) => {
    const segment = tree.add({ parent: prompt, capacity: 4, causal: true });
    tree.append(segment, 1);
    return { row, count: 1, segment, offset: 0 };
  });
  const plan = AttentionPlan.create(gpu, tree, runs);
  const q = createTensor(gpu, [2, 4, 32], 'f32', 'q');
  const o = createTensor(gpu, [2, 4, 32], 'f32', 'o');
  const [k, v] = ['k', 'v'].map((name) => createTensor(gpu, [tree.capacity, 2, 32], 'f32', name));
  const recorder = new Recorder(gpu, 'test');
  const record = () => attention.record(recorder, plan, { q, k: k!, v: v!, o });
  const parts = () => bound.splice(0).filter(({ label }) => PARTS.test(label));
  // There is room for all else.
  plan.workFor(layoutFor(attention.variant, SHAPE));
  gpu.uniforms.write(new ArrayBuffer(16));

  gpu.memory.budget = gpu.memory.bytes;
  record();
  await expect(gpu.memory.check()).rejects.toThrow(GpuMemoryError);
  // What stands in the place of a buffer that was refused is larger than any can be.
  expect(Math.max(...parts().map(({ size }) => size))).toBeGreaterThan(LIMIT);

  gpu.memory.budget = Number.POSITIVE_INFINITY;
  record();
  await gpu.memory.check();
  const there = parts();
  expect(Math.max(...there.map(({ size }) => size))).toBeLessThan(LIMIT);
  // Known to be there, they stay, also where something else finds no room later.
  record();
  expect(new Set(parts())).toEqual(new Set(there));
  createTensor(gpu, [LIMIT], 'f32', 'too large');
  await expect(gpu.memory.check()).rejects.toThrow('too large');
  record();
  expect(new Set(parts())).toEqual(new Set(there));
});
