import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BlockRuntime } from '../../src/blocks/block-graph';
import { BlockRuntimes } from '../../src/blocks/block-runtimes';
import { differentiate } from '../../src/blocks/differentiate';
import type { ValueSpec } from '../../src/blocks/graph';
import { GraphBuilder } from '../../src/blocks/graph-builder';
import { OrtRuntime } from '../../src/blocks/ort/ort-runtime';
import { needsF16 } from '../../src/blocks/wgsl/element-types';
import { WgslRuntime } from '../../src/blocks/wgsl/wgsl-runtime';
import type { Gpu } from '../../src/gpu/device';
import { isPacked } from '../../src/gpu/packed-weights';
import {
  blockBytes,
  blocksOf,
  createTensor,
  destroyTensor,
  type GpuTensor,
  readF32,
  readTensor,
  uploadTensor,
  writeTensor,
} from '../../src/gpu/tensor';
import { dequantise, fromHalves } from '../../src/weights/quantise-reference';
import { blockReference, type Dense } from '../support/block-reference';
import { relativeError } from '../support/golden-model';
import { fromHalf, toHalf } from '../support/half';
import { randomValues, uniforms } from '../support/random-values';
import { sharedGpu } from '../support/shared-gpu';

type Packed = 'q4' | 'q8' | 'f16';

let gpu: Gpu;
let runtimes: Record<'wgsl' | 'wgsl as on a GPU' | 'wgsl in 16 KiB' | 'ort', BlockRuntime>;

beforeAll(async () => {
  gpu = await sharedGpu();
  const likeGpu = { ...gpu, adapter: { ...gpu.adapter, isFallback: false } };
  // WebGPU's default.
  const limits = { ...gpu.adapter.limits, maxComputeWorkgroupStorageSize: 16_384 };
  runtimes = {
    wgsl: WgslRuntime.create(gpu),
    'wgsl as on a GPU': WgslRuntime.create(likeGpu),
    'wgsl in 16 KiB': WgslRuntime.create({ ...likeGpu, adapter: { ...likeGpu.adapter, limits } }),
    ort: OrtRuntime.create(gpu, { validation: true }),
  };
});
afterAll(() => gpu.close());

/** A weight of random codes on the GPU, and its values. */
function randomWeight(
  dtype: Packed,
  n: number,
  k: number,
  seed: number,
): { tensor: GpuTensor; values: Dense } {
  const next = uniforms(seed);
  if (dtype === 'f16') {
    // Any finite half, subnormal ones included.
    const halves = Uint16Array.from({ length: n * k }, () => {
      const exponent = Math.floor(next() * 18);
      return (next() < 0.5 ? 0x8000 : 0) | (exponent << 10) | Math.floor(next() * 1024);
    });
    return {
      tensor: uploadTensor(gpu, halves, [n, k], 'f16', 'w'),
      values: { data: fromHalves(halves), shape: [n, k] },
    };
  }
  const codes = Uint8Array.from({ length: n * blocksOf(k) * blockBytes(dtype) }, () =>
    Math.floor(next() * 256),
  );
  const scales = Float32Array.from(
    { length: n * blocksOf(k) },
    () => (next() - 0.4) * 10 ** (next() * 4 - 3),
  );
  const tensor = uploadTensor(gpu, codes, [n, k], dtype, 'w');
  writeTensor(gpu, tensor.scales!, scales);
  return { tensor, values: { data: dequantise({ codes, scales }, dtype, [n, k]), shape: [n, k] } };
}

/** x W^T with a bias, then times a second weight's with a residual: what blocks have. */
function twoLayers(dtype: Packed, k: number, n: number) {
  const g = new GraphBuilder(`${dtype} ${k} ${n}`);
  const x = g.input('x', ['rows', k]);
  const inner = g.gemm(x, g.input('w', [n, k], dtype), g.input('bias', [n]));
  g.output('inner', inner);
  g.output('y', g.gemm(x, g.input('v', [k, k], dtype), x));
  return g.build();
}

const SHAPES = [
  { k: 32, n: 8 },
  { k: 44, n: 75 },
  { k: 300, n: 66 },
];

describe.each(['wgsl', 'wgsl as on a GPU', 'ort'] as const)('%s', (kind) => {
  const types = kind === 'ort' ? (['q4', 'q8'] as const) : (['q4', 'q8', 'f16'] as const);
  describe.each(types)('%s weights', (dtype) => {
    it('as the float64 reference: few and many rows, forward and backward, poisoned, equal bits', async () => {
      for (const [i, { k, n }] of SHAPES.entries()) {
        const model = twoLayers(dtype, k, n);
        // The last shape has rows for the tiles, which have one layout more for little workgroup memory.
        const runtime = runtimes[kind === 'wgsl as on a GPU' && i === 2 ? 'wgsl in 16 KiB' : kind];
        const graphs = [{ model, graph: await runtime.compile(model) }];
        if (kind !== 'ort') {
          const back = differentiate(model, ['x']);
          graphs.push({ model: back, graph: await runtime.compile(back) });
        }
        const seed = 100 * i + k;
        const w = randomWeight(dtype, n, k, seed);
        const v = randomWeight(dtype, k, k, seed + 1);
        for (const rows of i === 1 ? [1, 3, 7, 16, 17, 70] : [1, 8, 66]) {
          const values: Record<string, Dense> = { w: w.values, v: v.values };
          const inputs: Record<string, GpuTensor> = { w: w.tensor, v: v.tensor };
          for (const [j, [name, shape]] of Object.entries({
            x: [rows, k],
            bias: [n],
            d_inner: [rows, n],
            d_y: [rows, k],
          }).entries()) {
            const data = randomValues(
              shape.reduce((a, b) => a * b, 1),
              seed + 10 + j,
            );
            values[name] = { data, shape };
            inputs[name] = uploadTensor(gpu, data, shape, 'f32', name);
          }
          for (const { model: own, graph } of graphs) {
            const given = Object.fromEntries(graph.inputs.map((name) => [name, inputs[name]!]));
            const expected = blockReference(own, values);
            const runs: Record<string, Float32Array>[] = [];
            for (const poison of [Number.NaN, 1e30]) {
              const outputs = Object.fromEntries(
                own.outputs.map(({ name }) => {
                  const { shape } = expected[name]!;
                  const filled = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(poison);
                  return [name, uploadTensor(gpu, filled, shape, 'f32', name)];
                }),
              );
              await graph.run(given, outputs);
              const read: Record<string, Float32Array> = {};
              for (const [name, tensor] of Object.entries(outputs)) {
                read[name] = await readF32(gpu, tensor);
                destroyTensor(tensor);
              }
              runs.push(read);
            }
            for (const { name } of own.outputs) {
              const { shape, data } = expected[name]!;
              const what = `${own.name}, ${rows} rows, seed ${seed}, ${name} [${shape.join(', ')}]`;
              expect(relativeError(runs[0]![name]!, data), what).toBeLessThan(5e-6);
              expect(runs[1]![name], what).toEqual(runs[0]![name]);
            }
          }
          for (const name of ['x', 'bias', 'd_inner', 'd_y']) destroyTensor(inputs[name]!);
        }
        for (const { tensor } of [w, v]) destroyTensor(tensor);
        for (const { graph } of graphs) await graph.destroy();
      }
    });

    it('extreme values: large and small scales, all codes, rows of zeros and of 1e6', async () => {
      const [n, k, rows] = [40, 64, 3];
      const g = new GraphBuilder(`extremes ${dtype}`);
      g.output('y', g.gemm(g.input('x', ['rows', k]), g.input('w', [n, k], dtype)));
      const model = g.build();
      const graph = await runtimes[kind].compile(model);
      const w = randomWeight(dtype, n, k, 7);
      if (dtype !== 'f16') {
        // One row of W a scale: 0, denormal-near, 1 and 1e9, either sign.
        const scales = Float32Array.from({ length: n * 2 }, (_, i) => [0, 1e-30, 1, -1, 1e9][(i >> 1) % 5]!);
        const codes = Uint8Array.from({ length: n * 2 * blockBytes(dtype) }, (_, i) => (i * 37) % 256);
        writeTensor(gpu, w.tensor, codes);
        writeTensor(gpu, w.tensor.scales!, scales);
        w.values = { data: dequantise({ codes, scales }, dtype, [n, k]), shape: [n, k] };
      }
      const data = Float32Array.from({ length: rows * k }, (_, i) =>
        i < k ? 0 : i < 2 * k ? 1e6 : (i % 3) - 1,
      );
      const x = uploadTensor(gpu, data, [rows, k], 'f32', 'x');
      const y = createTensor(gpu, [rows, n], 'f32', 'y');
      await graph.run({ x, w: w.tensor }, { y });
      const got = await readF32(gpu, y);
      const want = blockReference(model, { x: { data, shape: [rows, k] }, w: w.values }).y!.data;
      // Column by column: a large scale must not hide a small one.
      for (let j = 0; j < n; j++)
        for (let row = 0; row < rows; row++) {
          const products = Array.from(
            { length: k },
            (_, i) => data[row * k + i]! * w.values.data[j * k + i]!,
          );
          const size = products.reduce((sum, value) => sum + Math.abs(value), 0);
          expect(Math.abs(got[row * n + j]! - want[row * n + j]!), `${row}, ${j}`).toBeLessThanOrEqual(
            2e-6 * size,
          );
        }
      for (const tensor of [x, y, w.tensor]) destroyTensor(tensor);
      await graph.destroy();
    });
  });
});

describe('f16 weights without shader-f16', () => {
  it('run on our kernels, and ONNX Runtime says what it lacks', async () => {
    const plain = { ...gpu, f16: false, adapter: { ...gpu.adapter, isFallback: false } };
    const model = twoLayers('f16', 32, 8);
    const forced = await BlockRuntimes.create(plain, { backend: 'ort' });
    await expect(forced.compile(model)).rejects.toThrow('needs shader-f16');
    const auto = await BlockRuntimes.create(plain, { validation: true });
    const graph = await auto.compile(model);
    const w = randomWeight('f16', 8, 32, 1);
    const v = randomWeight('f16', 32, 32, 2);
    const x = { data: randomValues(20 * 32, 3), shape: [20, 32] };
    const bias = { data: randomValues(8, 4), shape: [8] };
    const given = {
      x: uploadTensor(gpu, x.data, x.shape, 'f32', 'x'),
      bias: uploadTensor(gpu, bias.data, bias.shape, 'f32', 'bias'),
    };
    const inner = createTensor(gpu, [20, 8], 'f32', 'inner');
    const y = createTensor(gpu, [20, 32], 'f32', 'y');
    await graph.run({ ...given, w: w.tensor, v: v.tensor }, { inner, y });
    const want = blockReference(model, { x, bias, w: w.values, v: v.values });
    expect(relativeError(await readF32(gpu, inner), want.inner!.data)).toBeLessThan(5e-6);
    expect(relativeError(await readF32(gpu, y), want.y!.data)).toBeLessThan(5e-6);
    await auto.destroy();
  });
});

describe('activations in f16', () => {
  const cases = (['wgsl', 'wgsl as on a GPU'] as const).flatMap((kind) =>
    (['q4', 'q8'] as const).map((dtype) => [kind, dtype] as const),
  );
  it.each(cases)(
    '%s, %s weights: as the float64 reference, forward and backward, poisoned',
    async (kind, dtype) => {
      if (!gpu.f16) return expect(() => needsF16(gpu, ['f16'])).toThrow('cannot read: keep them as f32');
      const [k, n] = [44, 75];
      const forward = twoLayers(dtype, k, n);
      const w = randomWeight(dtype, n, k, 21);
      const v = randomWeight(dtype, k, k, 22);
      for (const written of [forward, differentiate(forward, ['x'])]) {
        const half = <T extends ValueSpec>(value: T): T =>
          isPacked(value.type) ? value : { ...value, type: 'f16' };
        const model = { ...written, inputs: written.inputs.map(half), outputs: written.outputs.map(half) };
        const graph = await runtimes[kind].compile(model);
        for (const rows of [1, 3, 17, 70]) {
          const values: Record<string, Dense> = { w: w.values, v: v.values };
          const inputs: Record<string, GpuTensor> = { w: w.tensor, v: v.tensor };
          const shapes = { x: [rows, k], bias: [n], d_inner: [rows, n], d_y: [rows, k] };
          for (const [j, [name, shape]] of Object.entries(shapes).entries()) {
            const data = toHalf(randomValues(shape[0]! * (shape[1] ?? 1), 30 + j));
            values[name] = { data: fromHalf(data), shape };
            inputs[name] = uploadTensor(gpu, data, shape, 'f16', name);
          }
          const expected = blockReference(written, values);
          const outputs = Object.fromEntries(
            model.outputs.map(({ name }) => {
              const { data, shape } = expected[name]!;
              return [name, uploadTensor(gpu, new Uint16Array(data.length).fill(0x7e00), shape, 'f16', name)];
            }),
          );
          await graph.run(Object.fromEntries(graph.inputs.map((name) => [name, inputs[name]!])), outputs);
          for (const [name, tensor] of Object.entries(outputs)) {
            const found = fromHalf((await readTensor(gpu, tensor)) as Uint16Array);
            expect(
              relativeError(found, expected[name]!.data),
              `${model.name}, ${rows} rows, ${name}`,
            ).toBeLessThan(2e-3);
          }
          for (const name of Object.keys(shapes)) destroyTensor(inputs[name]!);
          for (const tensor of Object.values(outputs)) destroyTensor(tensor);
        }
        await graph.destroy();
      }
      for (const { tensor } of [w, v]) destroyTensor(tensor);
    },
  );
});
