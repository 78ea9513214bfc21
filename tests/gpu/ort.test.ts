import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../src/blocks/graph-builder';
import { OrtRuntime } from '../../src/blocks/ort/ort-runtime';
import { type Gpu, openGpu } from '../../src/gpu/device';
import { createTensor, type GpuTensor, readF32, uploadTensor } from '../../src/gpu/tensor';

let gpu: Gpu;
let ort: OrtRuntime;

beforeAll(async () => {
  gpu = await openGpu();
  ort = OrtRuntime.create(gpu, { validation: true });
});
afterAll(() => gpu.close());

/** Values in -1..1 from a small multiplicative generator, so that every run sees the same. */
function random(n: number, seed: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(n);
  let state = seed * 7919 + 17;
  for (let i = 0; i < n; i++) {
    state = (state * 48271) % 2147483647;
    out[i] = (state / 2147483647) * 2 - 1;
  }
  return out;
}

function upload(shape: number[], seed: number): { tensor: GpuTensor; data: Float32Array } {
  const data = random(
    shape.reduce((a, b) => a * b, 1),
    seed,
  );
  return { tensor: uploadTensor(gpu, data, shape, 'f32', `t${seed}`), data };
}

async function expectClose(tensor: GpuTensor, expected: ArrayLike<number>, tolerance = 2e-6): Promise<void> {
  const actual = await readF32(gpu, tensor);
  expect(actual.length).toBe(expected.length);
  let worst = 0;
  let largest = 1e-30;
  for (let i = 0; i < actual.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    worst = Math.max(worst, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
    largest = Math.max(largest, Math.abs(expected[i]!));
  }
  expect(worst / largest).toBeLessThan(tolerance);
}

function gemmReference(x: Float32Array, w: Float32Array, rows: number, k: number, n: number): Float64Array {
  const out = new Float64Array(rows * n);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < n; c++) {
      let sum = 0;
      for (let i = 0; i < k; i++) sum += x[r * k + i]! * w[c * k + i]!;
      out[r * n + c] = sum;
    }
  return out;
}

describe('OrtRuntime', () => {
  it('multiplies by a weight that is an input, for any number of rows, with bias and residual', async () => {
    const g = new GraphBuilder('linear');
    const x = g.input('x', ['rows', 24]);
    const residual = g.input('residual', ['rows', 40]);
    const weight = g.input('weight', [40, 24]);
    const bias = g.input('bias', [40]);
    g.output('biased', g.gemm(x, weight, bias));
    g.output('added', g.gemm(x, weight, residual));
    const graph = await ort.compile(g.build());
    const w = upload([40, 24], 1);
    const b = upload([40], 2);
    for (const rows of [1, 5, 70]) {
      const input = upload([rows, 24], 3 + rows);
      const res = upload([rows, 40], 4 + rows);
      const biased = createTensor(gpu, [rows, 40], 'f32', 'biased');
      const added = createTensor(gpu, [rows, 40], 'f32', 'added');
      await graph.run(
        { x: input.tensor, residual: res.tensor, weight: w.tensor, bias: b.tensor },
        { biased, added },
      );
      const product = gemmReference(input.data, w.data, rows, 24, 40);
      await expectClose(
        biased,
        product.map((v, i) => v + b.data[i % 40]!),
      );
      await expectClose(
        added,
        product.map((v, i) => v + res.data[i]!),
      );
    }
    await graph.destroy();
  });

  it('normalises, activates and concatenates as PyTorch does', async () => {
    const g = new GraphBuilder('pointwise');
    const x = g.input('x', ['rows', 16]);
    const y = g.input('y', ['more', 16]);
    const weight = g.input('weight', [16]);
    const bias = g.input('bias', [16]);
    g.output('rms', g.rmsNorm(x, weight, 1e-6));
    g.output('layer', g.layerNorm(x, weight, bias, 1e-5));
    g.output('tanh', g.gelu(x, 'tanh'));
    g.output('erf', g.gelu(x, 'none'));
    g.output('swiglu', g.siluMul(x, g.mul(x, x)));
    g.output('both', g.concat([x, y], 0));
    const graph = await ort.compile(g.build());
    const rows = 7;
    const a = upload([rows, 16], 11);
    const b = upload([3, 16], 12);
    const w = upload([16], 13);
    const c = upload([16], 14);
    const make = (n: number, label: string) => createTensor(gpu, [n, 16], 'f32', label);
    const out = {
      rms: make(rows, 'rms'),
      layer: make(rows, 'layer'),
      tanh: make(rows, 'tanh'),
      erf: make(rows, 'erf'),
      swiglu: make(rows, 'swiglu'),
      both: make(rows + 3, 'both'),
    };
    await graph.run({ x: a.tensor, y: b.tensor, weight: w.tensor, bias: c.tensor }, out);
    const row = (i: number) => a.data.subarray(i - (i % 16), i - (i % 16) + 16);
    const mean = (v: ArrayLike<number>) => Array.from(v).reduce((s, n) => s + n, 0) / 16;
    const at = (f: (v: number, i: number) => number) => Float64Array.from(a.data, f);
    await expectClose(
      out.rms,
      at((v, i) => (v / Math.sqrt(mean(row(i).map((n) => n * n)) + 1e-6)) * w.data[i % 16]!),
    );
    await expectClose(
      out.layer,
      at((v, i) => {
        const m = mean(row(i));
        const variance = mean(Array.from(row(i), (n) => (n - m) ** 2));
        return ((v - m) / Math.sqrt(variance + 1e-5)) * w.data[i % 16]! + c.data[i % 16]!;
      }),
    );
    const tanhGelu = (v: number) =>
      0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));
    await expectClose(out.tanh, at(tanhGelu));
    await expectClose(
      out.erf,
      at((v) => 0.5 * v * (1 + erf(v / Math.SQRT2))),
    );
    await expectClose(
      out.swiglu,
      at((v) => (v / (1 + Math.exp(-v))) * v * v),
    );
    await expectClose(out.both, [...a.data, ...b.data], 0 + 1e-12);
    await graph.destroy();
  });

  it('embeds patches: convolution, tokens in rows, position table', async () => {
    const g = new GraphBuilder('patches');
    const pixels = g.input('pixels', ['frames', 3, 30, 30]);
    const weight = g.input('weight', [8, 3, 14, 14]);
    const bias = g.input('bias', [8]);
    const positions = g.input('positions', [4, 8]);
    const grid = g.conv(pixels, weight, bias, 14, 14);
    const tokens = g.transpose(g.reshape(grid, [0, 8, 4]), [0, 2, 1]);
    g.output('rows', g.reshape(g.add(tokens, positions), [-1, 8]));
    const graph = await ort.compile(g.build());
    const frames = 2;
    const p = upload([frames, 3, 30, 30], 21);
    const w = upload([8, 3, 14, 14], 22);
    const b = upload([8], 23);
    const table = upload([4, 8], 24);
    const rows = createTensor(gpu, [frames * 4, 8], 'f32', 'rows');
    await graph.run(
      { pixels: p.tensor, weight: w.tensor, bias: b.tensor, positions: table.tensor },
      { rows },
    );
    const expected: number[] = [];
    for (let f = 0; f < frames; f++)
      for (let cell = 0; cell < 4; cell++)
        for (let c = 0; c < 8; c++) {
          let sum = b.data[c]! + table.data[cell * 8 + c]!;
          for (let ch = 0; ch < 3; ch++)
            for (let y = 0; y < 14; y++)
              for (let x = 0; x < 14; x++) {
                const py = Math.floor(cell / 2) * 14 + y;
                const px = (cell % 2) * 14 + x;
                sum +=
                  p.data[((f * 3 + ch) * 30 + py) * 30 + px]! * w.data[((c * 3 + ch) * 14 + y) * 14 + x]!;
              }
          expected.push(sum);
        }
    await expectClose(rows, expected);
    await graph.destroy();
  });

  it('lets no operator fall back to the CPU', async () => {
    const g = new GraphBuilder('cpu-only');
    const x = g.input('x', [4, 4]);
    g.output('y', g.node('Det', [x]));
    await expect(ort.compile(g.build())).rejects.toThrow(/fallback to CPU/i);
  });

  it('runs graphs one after the other, however they are called', async () => {
    const g = new GraphBuilder('chain');
    const x = g.input('x', ['rows', 4]);
    const one = g.input('one', [4]);
    g.output('y', g.add(x, one));
    const graph = await ort.compile(g.build());
    const one4 = uploadTensor(gpu, new Float32Array([1, 1, 1, 1]), [4], 'f32', 'one');
    const a = createTensor(gpu, [2, 4], 'f32', 'a');
    const b = createTensor(gpu, [2, 4], 'f32', 'b');
    await Promise.all(
      Array.from({ length: 10 }, (_, i) => graph.run({ x: i % 2 ? b : a, one: one4 }, { y: i % 2 ? a : b })),
    );
    await expectClose(a, new Array(8).fill(10), 1e-12);
    await graph.destroy();
  });

  it('names the graph when a tensor has the wrong shape', async () => {
    const g = new GraphBuilder('shapes');
    const x = g.input('x', ['rows', 4]);
    g.output('y', g.add(x, x));
    const graph = await ort.compile(g.build());
    const wrong = createTensor(gpu, [2, 5], 'f32', 'wrong');
    const y = createTensor(gpu, [2, 4], 'f32', 'y');
    await expect(graph.run({ x: wrong }, { y })).rejects.toThrow(/shapes/);
    await graph.destroy();
  });
});

/** erf by its Maclaurin series, exact enough for |x| < 1. */
function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 40; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}
