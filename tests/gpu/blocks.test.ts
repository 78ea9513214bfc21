import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { BackendChoices } from '../../src/blocks/backend-choices';
import type { BlockGraph, BlockRuntime } from '../../src/blocks/block-graph';
import { BlockRuntimes } from '../../src/blocks/block-runtimes';
import { differentiate } from '../../src/blocks/differentiate';
import type { GraphModel } from '../../src/blocks/graph';
import { GraphBuilder } from '../../src/blocks/graph-builder';
import { OrtError } from '../../src/blocks/ort/ort-error';
import { OrtRuntime } from '../../src/blocks/ort/ort-runtime';
import { qwen2Block, qwen2First, qwen2Head, qwen2Last } from '../../src/blocks/qwen2-graphs';
import {
  resamplerBlock,
  resamplerFirst,
  resamplerLast,
  resamplerMedia,
} from '../../src/blocks/resampler-graphs';
import { siglipBlock, siglipFirst } from '../../src/blocks/siglip-graphs';
import { WgslRuntime } from '../../src/blocks/wgsl/wgsl-runtime';
import type { Gpu } from '../../src/gpu/device';
import { createTensor, type GpuTensor, readF32, uploadTensor } from '../../src/gpu/tensor';
import { blockReference } from '../support/block-reference';
import { relativeError } from '../support/golden-model';
import { sharedGpu } from '../support/shared-gpu';

let gpu: Gpu;
let runtimes: Record<'ort' | 'wgsl' | 'wgsl with lanes', BlockRuntime>;
/** The same device under the name of a GPU: kernels then share rows among threads, and 'auto' decides by rows. */
let likeGpu: Gpu;

beforeAll(async () => {
  gpu = await sharedGpu();
  likeGpu = { ...gpu, adapter: { ...gpu.adapter, isFallback: false } };
  runtimes = {
    ort: OrtRuntime.create(gpu, { validation: true }),
    wgsl: WgslRuntime.create(gpu),
    'wgsl with lanes': WgslRuntime.create(likeGpu),
  };
});
afterAll(() => gpu.close());

const qwen = {
  hidden_size: 48,
  intermediate_size: 100,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  rms_norm_eps: 1e-6,
  vocab_size: 75,
};
const siglip = {
  hidden_size: 72,
  intermediate_size: 92,
  patch_size: 14,
  num_channels: 3,
  layer_norm_eps: 1e-6,
};
const resampler = {
  vision_hidden_size: 72,
  hidden_size: 48,
  inner_size: 64,
  intermediate_size: 192,
  layer_norm_eps: 1e-5,
  positions_on: 'output' as const,
};

/** Values near a normal distribution, from a small generator: the same in every run. */
function random(n: number, seed: number): Float32Array<ArrayBuffer> {
  let state = seed * 7919 + 17;
  const uniform = () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
  return Float32Array.from({ length: n }, () => (uniform() + uniform() + uniform() - 1.5) * 2);
}

interface Case {
  model: GraphModel;
  dims: Record<string, number>;
}

const cases: Case[] = [1, 3, 33].flatMap((rows) =>
  [
    qwen2First(qwen),
    qwen2Block(qwen),
    qwen2Last(qwen),
    qwen2Head(qwen),
    siglipFirst(siglip, false),
    siglipBlock(siglip, false),
  ]
    .map((model) => ({ model, dims: { rows } }))
    .concat(
      [resamplerMedia, resamplerFirst, resamplerBlock, resamplerLast].map((make) => ({
        model: make(resampler),
        dims: { rows, queries: 6 },
      })),
    ),
);

const loraLayer = (() => {
  const g = new GraphBuilder('lora layer');
  const x = g.input('x', ['rows', 48]);
  const base = g.gemm(x, g.input('weight', [100, 48]), g.input('bias', [100]));
  g.output('y', g.gemm(g.gemm(x, g.input('lora_A', [8, 48])), g.input('lora_B', [100, 8]), base, 2));
  return g.build();
})();
const erfLayer = (() => {
  const g = new GraphBuilder('gelu');
  g.output('y', g.gelu(g.input('x', ['rows', 48]), 'none'));
  return g.build();
})();
/** Backward graphs have operators that are ours alone. */
const backwardCases: Case[] = [1, 33].flatMap((rows) =>
  [
    differentiate(qwen2Block(qwen), ['attention', 'residual']),
    differentiate(siglipBlock(siglip, false), ['attention', 'residual']),
    differentiate(loraLayer, ['x', 'lora_A', 'lora_B']),
    differentiate(erfLayer, ['x']),
    differentiate(qwen2Head(qwen), ['final_norm']),
  ].map((model) => ({ model, dims: { rows } })),
);

describe.each(['wgsl', 'wgsl with lanes', 'ort'] as const)('%s blocks', (kind) => {
  const compiled = new Map<string, Promise<BlockGraph>>();

  it.each(kind === 'ort' ? cases : [...cases, ...backwardCases])(
    '$model.name, $dims.rows rows: as the float64 reference',
    async ({ model, dims }) => {
      if (!compiled.has(model.name)) compiled.set(model.name, runtimes[kind].compile(model));
      const graph = await compiled.get(model.name)!;
      const values: Record<string, { data: Float32Array<ArrayBuffer>; shape: number[] }> = {};
      const inputs: Record<string, GpuTensor> = {};
      for (const [i, input] of model.inputs.entries()) {
        const shape = input.dims!.map((dim) => (typeof dim === 'number' ? dim : dims[dim]!));
        const data = random(
          shape.reduce((a, b) => a * b, 1),
          i + 1,
        );
        values[input.name] = { data, shape };
        inputs[input.name] = uploadTensor(gpu, data, shape, 'f32', input.name);
      }
      const expected = blockReference(model, values);
      const outputs: Record<string, GpuTensor> = {};
      for (const { name } of model.outputs) {
        outputs[name] = createTensor(gpu, expected[name]!.shape, 'f32', name);
      }
      await graph.run(inputs, outputs);
      for (const [name, tensor] of Object.entries(outputs)) {
        expect(relativeError(await readF32(gpu, tensor), expected[name]!.data), name).toBeLessThan(5e-6);
      }
      for (const tensor of [...Object.values(inputs), ...Object.values(outputs)]) tensor.buffer.destroy();
    },
  );
});

describe('BlockRuntimes', () => {
  it('measures once for a number of rows on a GPU, runs the faster, and our kernels on a CPU adapter', async () => {
    const choices = new BackendChoices();
    const auto = await BlockRuntimes.create(likeGpu, { validation: true, choices });
    expect(auto.label).toBe('ort + wgsl');
    const model = qwen2Head(qwen);
    const graph = await auto.compile(model);
    const label = 'qwen2 head 75 x 48';
    const weight = { data: random(75 * 48, 3), shape: [75, 48] };
    const head = uploadTensor(gpu, weight.data, weight.shape, 'f32', 'head');
    // Measured earlier: whoever runs, it is not measured again.
    choices.measure(label, 16, 2, 1);
    choices.measure(label, 64, 1, 2);
    for (const rows of [1, 16, 17]) {
      const x = { data: random(rows * 48, 4), shape: [rows, 48] };
      const final_norm = uploadTensor(gpu, x.data, x.shape, 'f32', 'x');
      const logits = createTensor(gpu, [rows, 75], 'f32', 'logits');
      const before = choices.find(label, rows);
      // Our kernels have submitted their work when `run` returns; the runtime's queue has not begun.
      let submits = 0;
      const { queue } = gpu.device;
      const submit = queue.submit;
      queue.submit = (buffers) => {
        submits++;
        submit.call(queue, buffers);
      };
      const running = graph.run({ final_norm, 'head.weight': head }, { logits });
      queue.submit = submit;
      await running;
      if (before) expect(submits, `${rows} rows`).toBe(before.backend === 'wgsl' ? 1 : 0);
      else expect(choices.find(label, rows)).toMatchObject({ rows: 1, graph: label });
      const expected = blockReference(model, { final_norm: x, 'head.weight': weight }).logits!.data;
      expect(relativeError(await readF32(gpu, logits), expected)).toBeLessThan(5e-6);
    }
    expect(choices.measurements().map(({ rows }) => rows)).toEqual([16, 64, 1]);
    // Where the runtime fails, be it fetched or not, our kernels run, and it is said.
    const refused = vi
      .spyOn(OrtRuntime.prototype, 'compile')
      .mockRejectedValue(new OrtError('It is offline.'));
    const alone = await auto.compile(model);
    const x = { data: random(48, 4), shape: [1, 48] };
    const final_norm = uploadTensor(gpu, x.data, x.shape, 'f32', 'x');
    const logits = createTensor(gpu, [1, 75], 'f32', 'logits');
    choices.measure(label, 1, 1, 2);
    for (let i = 0; i < 2; i++) await alone.run({ final_norm, 'head.weight': head }, { logits });
    expect(refused).toHaveBeenCalledOnce();
    refused.mockRestore();
    const expected = blockReference(model, { final_norm: x, 'head.weight': weight }).logits!.data;
    expect(relativeError(await readF32(gpu, logits), expected)).toBeLessThan(5e-6);
    expect(alone.capture?.(1)).toBeDefined();
    expect(choices.list()[0]).toMatchObject({
      backend: 'wgsl',
      why: 'ONNX Runtime failed here, so our kernels run. It is offline.',
    });
    await alone.destroy();
    await graph.destroy();
    auto.destroy();
    const forced = await BlockRuntimes.create(likeGpu, { backend: 'ort', validation: true });
    expect(forced.label).toBe('ort');
    const cpu = await BlockRuntimes.create(gpu, { validation: true });
    expect(cpu.label).toBe(gpu.adapter.isFallback ? 'wgsl' : 'ort + wgsl');
  });
});

describe('WgslRuntime', () => {
  it('says which operator it lacks, and BlockRuntimes gives such a graph to ONNX Runtime', async () => {
    const g = new GraphBuilder('patches');
    const x = g.input('x', ['frames', 3, 14, 14]);
    g.output('y', g.conv(x, g.input('w', [4, 3, 14, 14]), g.input('b', [4]), 14, 14));
    const model = g.build();
    await expect(runtimes.wgsl.compile(model)).rejects.toThrow('patches has a Conv');
    const both = await BlockRuntimes.create(gpu, { backend: 'wgsl', validation: true });
    const graph = await both.compile(model);
    const inputs = {
      x: uploadTensor(gpu, new Float32Array(588).fill(0.5), [1, 3, 14, 14], 'f32', 'x'),
      w: uploadTensor(gpu, new Float32Array(4 * 588).fill(0.25), [4, 3, 14, 14], 'f32', 'w'),
      b: uploadTensor(gpu, new Float32Array(4).fill(1), [4], 'f32', 'b'),
    };
    const y = createTensor(gpu, [1, 4, 1, 1], 'f32', 'y');
    await graph.run(inputs, { y });
    expect(relativeError(await readF32(gpu, y), new Array(4).fill(588 / 8 + 1))).toBeLessThan(1e-6);
    await graph.destroy();
    both.destroy();
  });

  it('refuses outputs of the wrong size', async () => {
    const graph = await runtimes.wgsl.compile(qwen2Head(qwen));
    const final_norm = createTensor(gpu, [3, 48], 'f32', 'x');
    const weight = createTensor(gpu, [75, 48], 'f32', 'w');
    const logits = createTensor(gpu, [2, 75], 'f32', 'y');
    const run = graph.run({ final_norm, 'head.weight': weight }, { logits });
    await expect(run).rejects.toThrow('the shape [3, 75]');
  });

  it('keeps no more scratch than one run needs, for rows that come and go', async () => {
    const runtime = WgslRuntime.create(gpu);
    const graph = await runtime.compile(siglipBlock(siglip, true));
    const run = async (rows: number) => {
      const inputs: Record<string, GpuTensor> = {};
      for (const input of siglipBlock(siglip, true).inputs) {
        const shape = input.dims!.map((dim) => (typeof dim === 'number' ? dim : rows));
        inputs[input.name] = createTensor(gpu, shape, 'f32', input.name);
      }
      const hidden = createTensor(gpu, [rows, 72], 'f32', 'hidden');
      await graph.run(inputs, { hidden });
      for (const tensor of [...Object.values(inputs), hidden]) tensor.buffer.destroy();
    };
    const before = gpu.memory.buffers;
    for (const rows of [1, 40, 3, 80, 2, 160, 1]) await run(rows);
    expect(gpu.memory.buffers - before).toBeLessThanOrEqual(5);
    runtime.destroy();
    expect(gpu.memory.buffers).toBe(before);
  });
});
