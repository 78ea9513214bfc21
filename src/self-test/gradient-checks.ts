import { makeWeight, type WeightType } from '../bench/linear-weights';
import { randomValues } from '../bench/random-values';
import { differentiate } from '../blocks/differentiate';
import type { GraphModel } from '../blocks/graph';
import { GraphBuilder } from '../blocks/graph-builder';
import { WgslRuntime } from '../blocks/wgsl/wgsl-runtime';
import type { Gpu } from '../gpu/device';
import { createTensor, type GpuTensor, readF32, uploadTensor } from '../gpu/tensor';
import { type Check, relativeError } from './self-test';

// Without our kernels there are no gradients: there is no ONNX Runtime to leave them to.
const WAYS = ['subgroups', 'tiles'] as const;
const K = 64;
const N = 96;
const R = 8;
const SCALING = 0.5;

/** Rows of a short answer, and of more than a tile has. */
const ROWS = [3, 37];

/** A linear layer with LoRA over a frozen weight of one type: the gradients of its input and of A and B. */
export function linearGradientCheck(type: WeightType): Check {
  return {
    name: `gradients of linear layers ${type} and LoRA`,
    ways: WAYS,
    tolerance: 1e-5,
    async prepare(gpu) {
      const g = new GraphBuilder('self-test LoRA');
      const x = g.input('x', ['rows', K]);
      const base = g.gemm(x, g.input('weight', [N, K], type));
      const low = g.gemm(x, g.input('a', [R, K]));
      g.output('y', g.gemm(low, g.input('b', [N, R]), base, SCALING));
      const run = await compiled(gpu, differentiate(g.build(), ['x', 'a', 'b']));
      return async () => {
        const weight = makeWeight(type, N, K);
        const w = weight.upload(gpu);
        const a = randomValues(92, R * K);
        const b = randomValues(93, N * R);
        let worst = 0;
        for (const rows of ROWS) {
          const xs = randomValues(91, rows * K);
          const dy = randomValues(94, rows * N);
          const found = await run.values(
            { x: [xs, [rows, K]], a: [a, [R, K]], b: [b, [N, R]], d_y: [dy, [rows, N]] },
            { d_x: [rows, K], d_a: [R, K], d_b: [N, R] },
            { weight: w },
          );
          // s (x A^T) and s (dy B): what each of A and B sees of the other's side.
          const xa = product(rows, R, K, (i, r, k) => SCALING * xs[i * K + k]! * a[r * K + k]!);
          const db = product(rows, R, N, (i, r, n) => SCALING * dy[i * N + n]! * b[n * R + r]!);
          const through = product(rows, K, N, (i, k, n) => dy[i * N + n]! * weight.at(n, k));
          const beside = product(rows, K, R, (i, k, r) => db[i * R + r]! * a[r * K + k]!);
          worst = Math.max(
            worst,
            relativeError(
              found.d_x,
              through.map((value, i) => value + beside[i]!),
            ),
            relativeError(
              found.d_a,
              product(R, K, rows, (r, k, i) => db[i * R + r]! * xs[i * K + k]!),
            ),
            relativeError(
              found.d_b,
              product(N, R, rows, (n, r, i) => dy[i * N + n]! * xa[i * R + r]!),
            ),
          );
        }
        weight.free(w);
        run.destroy();
        return worst;
      };
    },
  };
}

/** The gradients of RMSNorm's and SwiGLU's inputs. */
export const pointwiseGradientCheck: Check = {
  name: 'gradients of norms and SwiGLU',
  ways: WAYS,
  tolerance: 1e-5,
  async prepare(gpu) {
    const g = new GraphBuilder('self-test pointwise');
    const x = g.input('x', ['rows', K]);
    g.output('normed', g.rmsNorm(x, g.input('weight', [K]), 1e-6));
    g.output('mixed', g.siluMul(g.input('gate', ['rows', K]), g.input('up', ['rows', K])));
    const run = await compiled(gpu, differentiate(g.build(), ['x', 'gate', 'up']));
    return async () => {
      const rows = 5;
      const dims = [rows, K];
      const values = (seed: number) => randomValues(seed, rows * K);
      const weight = randomValues(101, K);
      const [xs, gate, up, d_normed, d_mixed] = [102, 103, 104, 105, 106].map(values) as [
        Float32Array<ArrayBuffer>,
        Float32Array<ArrayBuffer>,
        Float32Array<ArrayBuffer>,
        Float32Array<ArrayBuffer>,
        Float32Array<ArrayBuffer>,
      ];
      const found = await run.values(
        {
          x: [xs, dims],
          weight: [weight, [K]],
          gate: [gate, dims],
          up: [up, dims],
          d_normed: [d_normed, dims],
          d_mixed: [d_mixed, dims],
        },
        { d_x: dims, d_gate: dims, d_up: dims },
      );
      // y = w x / s with s^2 = mean(x^2) + eps: dx = (w dy - x mean(w dy x) / s^2) / s.
      const d_x = new Float64Array(rows * K);
      for (let row = 0; row < rows; row++) {
        let [squares, along] = [0, 0];
        for (let i = 0; i < K; i++) {
          const at = row * K + i;
          squares += xs[at]! ** 2 / K;
          along += (weight[i]! * d_normed[at]! * xs[at]!) / K;
        }
        const size = Math.sqrt(squares + 1e-6);
        for (let i = 0; i < K; i++) {
          const at = row * K + i;
          d_x[at] = (weight[i]! * d_normed[at]! - (xs[at]! * along) / size ** 2) / size;
        }
      }
      const d_gate = new Float64Array(rows * K);
      const d_up = new Float64Array(rows * K);
      for (const [i, value] of gate.entries()) {
        const sigmoid = 1 / (1 + Math.exp(-value));
        d_up[i] = d_mixed[i]! * value * sigmoid;
        d_gate[i] = d_mixed[i]! * up[i]! * sigmoid * (1 + value * (1 - sigmoid));
      }
      const worst = Math.max(
        relativeError(found.d_x, d_x),
        relativeError(found.d_gate, d_gate),
        relativeError(found.d_up, d_up),
      );
      run.destroy();
      return worst;
    };
  },
};

/** Runs a graph over values. */
async function compiled(gpu: Gpu, model: GraphModel) {
  const runtime = WgslRuntime.create(gpu);
  const graph = await runtime.compile(model);
  return {
    /** @param others inputs that are on the GPU; inputs that the graph does not have are left out. */
    async values<Name extends string>(
      inputs: Record<string, [Float32Array<ArrayBuffer>, readonly number[]]>,
      outputs: Record<Name, readonly number[]>,
      others: Record<string, GpuTensor> = {},
    ): Promise<Record<Name, Float32Array>> {
      const made: GpuTensor[] = [];
      const keep = (tensor: GpuTensor) => {
        made.push(tensor);
        return tensor;
      };
      const given: Record<string, GpuTensor> = { ...others };
      for (const name of graph.inputs) {
        const [values, shape] = inputs[name] ?? [];
        if (values && shape) given[name] = keep(uploadTensor(gpu, values, shape, 'f32', name));
      }
      const names = Object.keys(outputs) as Name[];
      const results = Object.fromEntries(
        names.map((name) => [name, keep(createTensor(gpu, outputs[name], 'f32', name))]),
      ) as Record<Name, GpuTensor>;
      await graph.run(given, results);
      const read = await Promise.all(names.map(async (name) => [name, await readF32(gpu, results[name])]));
      for (const { buffer } of made) buffer.destroy();
      return Object.fromEntries(read) as Record<Name, Float32Array>;
    },
    destroy: () => runtime.destroy(),
  };
}

/** `[rows, columns]`, each the sum of `inner` terms. */
function product(
  rows: number,
  columns: number,
  inner: number,
  term: (row: number, column: number, i: number) => number,
): Float64Array {
  const out = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      let sum = 0;
      for (let i = 0; i < inner; i++) sum += term(row, column, i);
      out[row * columns + column] = sum;
    }
  return out;
}
