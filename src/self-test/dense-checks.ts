import { makeWeight, type WeightType } from '../bench/linear-weights';
import { randomValues } from '../bench/random-values';
import { GraphBuilder } from '../blocks/graph-builder';
import { WgslRuntime } from '../blocks/wgsl/wgsl-runtime';
import { createTensor, type GpuTensor, readF32, uploadTensor } from '../gpu/tensor';
import { type Check, relativeError } from './self-test';

const WAYS = ['subgroups', 'tiles', 'dense'] as const;
const K = 64;
const N = 96;

/** Rows of a decode step, and of a prompt, with an edge that no tile fits. */
const ROWS = [3, 37];

/** Linear layers with a bias, a residual and neither, with weights of one type, at few and at many rows. */
export function linearCheck(type: WeightType): Check {
  return {
    name: `linear layers ${type}`,
    ways: WAYS,
    tolerance: 1e-5,
    async prepare(gpu) {
      const g = new GraphBuilder('self-test linear');
      const x = g.input('x', ['rows', K]);
      const residual = g.input('residual', ['rows', N]);
      const weight = g.input('weight', [N, K], type);
      g.output('plain', g.gemm(x, weight));
      g.output('biased', g.gemm(x, weight, g.input('bias', [N])));
      g.output('added', g.gemm(x, weight, residual));
      const runtime = WgslRuntime.create(gpu);
      const graph = await runtime.compile(g.build());
      return async () => {
        const values = makeWeight(type, N, K);
        const w = values.upload(gpu);
        const bias = randomValues(11, N);
        const tensors: GpuTensor[] = [];
        const keep = (tensor: GpuTensor) => {
          tensors.push(tensor);
          return tensor;
        };
        const biasTensor = keep(uploadTensor(gpu, bias, [N], 'f32', 'bias'));
        let worst = 0;
        for (const rows of ROWS) {
          const xs = randomValues(12, rows * K);
          const rs = randomValues(13, rows * N);
          const out = (label: string) => keep(createTensor(gpu, [rows, N], 'f32', label));
          const outputs = { plain: out('plain'), biased: out('biased'), added: out('added') };
          await graph.run(
            {
              x: keep(uploadTensor(gpu, xs, [rows, K], 'f32', 'x')),
              residual: keep(uploadTensor(gpu, rs, [rows, N], 'f32', 'residual')),
              weight: w,
              bias: biasTensor,
            },
            outputs,
          );
          const product = new Float64Array(rows * N);
          for (let row = 0; row < rows; row++)
            for (let n = 0; n < N; n++)
              for (let k = 0; k < K; k++) product[row * N + n]! += xs[row * K + k]! * values.at(n, k);
          const [plain, biased, added] = await Promise.all(
            Object.values(outputs).map((tensor) => readF32(gpu, tensor)),
          );
          worst = Math.max(
            worst,
            relativeError(plain!, product),
            relativeError(
              biased!,
              product.map((value, i) => value + bias[i % N]!),
            ),
            relativeError(
              added!,
              product.map((value, i) => value + rs[i]!),
            ),
          );
        }
        values.free(w);
        for (const { buffer } of tensors) buffer.destroy();
        runtime.destroy();
        return worst;
      };
    },
  };
}

/** RMSNorm, LayerNorm, both GELUs and SwiGLU. */
export const pointwiseCheck: Check = {
  name: 'norms and activations',
  ways: WAYS,
  tolerance: 1e-5,
  async prepare(gpu) {
    const g = new GraphBuilder('self-test pointwise');
    const x = g.input('x', ['rows', K]);
    const weight = g.input('weight', [K]);
    g.output('rms', g.rmsNorm(x, weight, 1e-6));
    g.output('layer', g.layerNorm(x, weight, g.input('bias', [K]), 1e-5));
    g.output('tanh', g.gelu(x, 'tanh'));
    g.output('erf', g.gelu(x, 'none'));
    g.output('swiglu', g.siluMul(x, g.input('up', ['rows', K])));
    const runtime = WgslRuntime.create(gpu);
    const graph = await runtime.compile(g.build());
    return async () => {
      const rows = 5;
      const given = {
        x: randomValues(21, rows * K).map((value) => 4 * value),
        up: randomValues(22, rows * K),
        weight: randomValues(23, K),
        bias: randomValues(24, K),
      };
      const inputs = Object.fromEntries(
        Object.entries(given).map(([name, values]) => {
          const shape = values.length === K ? [K] : [rows, K];
          return [name, uploadTensor(gpu, values, shape, 'f32', name)];
        }),
      );
      const expected = pointwiseReference(given);
      const outputs = Object.fromEntries(
        Object.keys(expected).map((name) => [name, createTensor(gpu, [rows, K], 'f32', name)]),
      );
      await graph.run(inputs, outputs);
      let worst = 0;
      for (const [name, values] of Object.entries(expected))
        worst = Math.max(worst, relativeError(await readF32(gpu, outputs[name]!), values));
      for (const { buffer } of [...Object.values(inputs), ...Object.values(outputs)]) buffer.destroy();
      runtime.destroy();
      return worst;
    };
  },
};

function pointwiseReference({
  x,
  up,
  weight,
  bias,
}: Record<'x' | 'up' | 'weight' | 'bias', Float32Array>): Record<string, Float64Array> {
  const values = Float64Array.from(x);
  const rows = Array.from({ length: values.length / K }, (_, row) => values.slice(row * K, (row + 1) * K));
  const each = (norm: (row: Float64Array) => Float64Array) =>
    Float64Array.from(rows.flatMap((row) => [...norm(row)]));
  const mean = (row: Float64Array) => row.reduce((a, b) => a + b, 0) / K;
  return {
    rms: each((row) => {
      const size = Math.sqrt(mean(row.map((value) => value * value)) + 1e-6);
      return row.map((value, i) => (value / size) * weight[i]!);
    }),
    layer: each((row) => {
      const middle = mean(row);
      const size = Math.sqrt(mean(row.map((value) => (value - middle) ** 2)) + 1e-5);
      return row.map((value, i) => ((value - middle) / size) * weight[i]! + bias[i]!);
    }),
    tanh: values.map((v) => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)))),
    erf: values.map((v) => 0.5 * v * (1 + erf(v / Math.SQRT2))),
    swiglu: values.map((v, i) => (v / (1 + Math.exp(-v))) * up[i]!),
  };
}

/** erf by its Taylor series (Abramowitz and Stegun, 7.1.5), enough for the arguments below 3 that occur here. */
function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 80; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}
