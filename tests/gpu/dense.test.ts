import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BlockGraph } from '../../src/blocks/block-graph';
import { differentiate } from '../../src/blocks/differentiate';
import type { GraphModel } from '../../src/blocks/graph';
import { GraphBuilder } from '../../src/blocks/graph-builder';
import { LORA_TARGETS, qwen2Block, qwen2Head } from '../../src/blocks/qwen2-graphs';
import { siglipBlock } from '../../src/blocks/siglip-graphs';
import { WgslRuntime } from '../../src/blocks/wgsl/wgsl-runtime';
import type { Gpu } from '../../src/gpu/device';
import { destroyTensor, type GpuTensor, readTensor, uploadTensor } from '../../src/gpu/tensor';
import { fromHalves, toHalves } from '../../src/weights/quantise-reference';
import { blockReference, type Dense } from '../support/block-reference';
import { relativeError } from '../support/golden-model';
import { uniforms } from '../support/random-values';
import { sharedGpu } from '../support/shared-gpu';

type Storage = 'f32' | 'f16';

/** The kernels that an adapter gets, with and without subgroups, as on a CPU and as on a GPU. */
const KINDS = {
  'of a CPU': { isFallback: true, subgroups: true, cases: 4 },
  'of a CPU without subgroups': { isFallback: true, subgroups: false, cases: 2 },
  'of a GPU': { isFallback: false, subgroups: true, cases: 1 },
  // Only products of few rows and norms have kernels of their own there: forward graphs have both.
  'of a GPU without subgroups': { isFallback: false, subgroups: false, cases: 1, forward: true },
};
const TOLERANCE = { f32: 5e-6, f16: 2e-3 };

let gpu: Gpu;
beforeAll(async () => {
  gpu = await sharedGpu();
});
afterAll(() => gpu.close());

function runtimeOf(kind: keyof typeof KINDS): WgslRuntime {
  const { isFallback, subgroups } = KINDS[kind];
  const adapter = { ...gpu.adapter, isFallback };
  return WgslRuntime.create({ ...gpu, adapter, subgroups: subgroups && gpu.subgroups });
}

/** Graphs with random widths: all operators of the blocks, forward and backward, LoRA and its gradients included. */
function randomGraphs(next: () => number): GraphModel[] {
  const int = (from: number, to: number) => from + Math.floor(next() * (to - from + 1));
  const shape = {
    hidden_size: 4 * int(1, 20),
    intermediate_size: 4 * int(1, 30),
    num_attention_heads: 2 * int(1, 2),
    num_key_value_heads: int(1, 2),
    head_dim: 4 * int(1, 6),
    rms_norm_eps: 1e-6,
    vocab_size: int(1, 90),
  };
  const targets = new Set(LORA_TARGETS);
  const block = qwen2Block(shape, { r: 4 * int(1, 4), scaling: 0.25 + next(), own: targets, next: targets });
  const lora = block.inputs.map(({ name }) => name).filter((name) => name.includes('.lora_'));
  const tower = siglipBlock(
    {
      hidden_size: 4 * int(1, 20),
      intermediate_size: 4 * int(1, 20),
      patch_size: 2,
      num_channels: 3,
      layer_norm_eps: 1e-6,
    },
    false,
  );
  const head = qwen2Head(shape);
  return [
    block,
    differentiate(block, ['attention', 'residual', ...lora]),
    differentiate(tower, ['attention', 'residual']),
    head,
    differentiate(head, ['final_norm']),
  ];
}

/** The graph with all that it is given and gives in a type. */
function stored(graph: GraphModel, type: Storage): GraphModel {
  const inputs = graph.inputs.map((input) => ({ ...input, type }));
  const outputs = graph.outputs.map((output) => ({ ...output, type }));
  return { ...graph, inputs, outputs };
}

/** Values on the GPU in a type, and what they are after rounding to it. */
function upload(values: Float32Array<ArrayBuffer>, shape: readonly number[], type: Storage, name: string) {
  const rounded: Dense =
    type === 'f32' ? { data: values, shape } : { data: fromHalves(toHalves(values)), shape };
  const data = type === 'f32' ? values : toHalves(values);
  return { rounded, tensor: uploadTensor(gpu, data, shape, type, name) };
}

async function numbers(tensor: GpuTensor): Promise<ArrayLike<number>> {
  const data = await readTensor(gpu, tensor);
  return data instanceof Uint16Array ? fromHalves(data) : data;
}

interface Inputs {
  values: Record<string, Dense>;
  tensors: Record<string, GpuTensor>;
}

function makeInputs(
  graph: GraphModel,
  rows: number,
  type: Storage,
  value: (name: string) => () => number,
): Inputs {
  const inputs: Inputs = { values: {}, tensors: {} };
  for (const { name, dims } of graph.inputs) {
    const shape = dims!.map((dim) => (typeof dim === 'number' ? dim : rows));
    const next = value(name);
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, next);
    const { rounded, tensor } = upload(data, shape, type, name);
    inputs.values[name] = rounded;
    inputs.tensors[name] = tensor;
  }
  return inputs;
}

/** Runs a graph into outputs that hold poison before; every element must be written over. */
async function runPoisoned(
  graph: BlockGraph,
  inputs: Inputs,
  expected: Readonly<Record<string, Dense>>,
  type: Storage,
): Promise<Record<string, ArrayLike<number>>> {
  const outputs: Record<string, GpuTensor> = {};
  for (const [name, { shape, data }] of Object.entries(expected)) {
    const poison =
      type === 'f32'
        ? new Float32Array(data.length).fill(Number.NaN)
        : new Uint16Array(data.length).fill(0x7e00);
    outputs[name] = uploadTensor(gpu, poison, shape, type, name);
  }
  await graph.run(inputs.tensors, outputs);
  const found: Record<string, ArrayLike<number>> = {};
  for (const [name, tensor] of Object.entries(outputs)) {
    found[name] = await numbers(tensor);
    destroyTensor(tensor);
  }
  return found;
}

/** Values near a normal distribution, scaled so that neither sums nor products of a block leave the range of f16. */
function moderate(next: () => number): () => number {
  return () => (next() + next() + next() - 1.5) * 0.8;
}

describe.each(Object.keys(KINDS) as (keyof typeof KINDS)[])('dense kernels %s', (kind) => {
  it.each(['f32', 'f16'] as const)(
    'random shapes in %s: as the float64 reference, equal bits twice',
    async (type) => {
      const runtime = runtimeOf(kind);
      if (type === 'f16' && !gpu.f16) {
        const graph = stored(qwen2Head({ ...SMALL }), 'f16');
        await expect(runtime.compile(graph)).rejects.toThrow('kept as f16');
        return;
      }
      for (let seed = 1; seed <= KINDS[kind].cases; seed++) {
        const next = uniforms(seed);
        const { forward } = { forward: false, ...KINDS[kind] };
        for (const written of randomGraphs(next).filter(
          ({ name }) => !forward || !name.includes('backward'),
        )) {
          const model = stored(written, type);
          const graph = await runtime.compile(model);
          const rows = [1, 2, 3, 5, 16, 17, 40, 67][Math.floor(next() * 8)]!;
          const inputs = makeInputs(model, rows, type, () => moderate(next));
          const expected = blockReference(model, inputs.values);
          const first = await runPoisoned(graph, inputs, expected, type);
          const second = await runPoisoned(graph, inputs, expected, type);
          for (const [name, { data }] of Object.entries(expected)) {
            const what = `${model.name}, ${rows} rows, seed ${seed}, ${name}`;
            expect(relativeError(first[name]!, data), what).toBeLessThan(TOLERANCE[type]);
            expect(second[name], what).toEqual(first[name]);
          }
          for (const tensor of Object.values(inputs.tensors)) destroyTensor(tensor);
        }
      }
      runtime.destroy();
    },
  );

  it('extreme values: outliers of 1e4 and products of 1e5 in SwiGLU, rows of zeros', async () => {
    const runtime = runtimeOf(kind);
    const g = new GraphBuilder('extremes');
    const [gate, up] = [g.input('gate', ['rows', 32]), g.input('up', ['rows', 32])];
    const product = g.siluMul(gate, up);
    g.output('product', product);
    const down = g.gemm(product, g.input('w', [16, 32]), g.input('residual', ['rows', 16]));
    g.output('down', down);
    g.output('normed', g.rmsNorm(down, g.input('norm', [16]), 1e-6));
    const forward = g.build();
    for (const model of [forward, differentiate(forward, ['gate', 'up', 'w'])]) {
      const graph = await runtime.compile(model);
      const extremes: Record<string, number[]> = {
        gate: [0, 300, -300, 88, -104, 1, -1, 0.5],
        up: [300, -300, 0, 1e-6, 1, 2],
        w: [1, -0.5, 1e-3, 0],
        residual: [1e4, -1e4, 0, 1],
        norm: [200, 1, 0],
        d_product: [1, 1e3, -1e3, 0],
        d_down: [1, -1, 1e2, 0],
        d_normed: [1e-3, 1, -1, 0],
      };
      const rows = 20;
      const inputs = makeInputs(model, rows, 'f32', (name) => {
        let i = 0;
        // The first row of gate, up and their gradients is zeros; weights have none.
        const zeros = name === 'w' || name === 'norm' ? 0 : 32;
        return () => (i++ < zeros ? 0 : extremes[name]![(i * 7) % extremes[name]!.length]!);
      });
      const expected = blockReference(model, inputs.values);
      const found = await runPoisoned(graph, inputs, expected, 'f32');
      for (const [name, { data }] of Object.entries(expected))
        expect(relativeError(found[name]!, data), `${model.name}, ${name}`).toBeLessThan(TOLERANCE.f32);
      for (const tensor of Object.values(inputs.tensors)) destroyTensor(tensor);
    }
    runtime.destroy();
  });
});

const SMALL = {
  hidden_size: 16,
  intermediate_size: 16,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 8,
  rms_norm_eps: 1e-6,
  vocab_size: 16,
};
