import { makeWeight, type WeightType } from '../bench/linear-weights';
import { randomValues } from '../bench/random-values';
import { GraphBuilder } from '../blocks/graph-builder';
import { WgslRuntime } from '../blocks/wgsl/wgsl-runtime';
import { createTensor, type GpuTensor, uploadTensor } from '../gpu/tensor';
import { type Check, relativeError } from './self-test';
import { HALF_TOLERANCE, readStored, store } from './stored-tensor';

const K = 64;
const N = 96;

/** Rows of a decode step, and of a prompt. */
const ROWS = [3, 37];

/**
 * Linear layers of one type as a decoder's block has them with activations in f16: rows in f16 with a residual in f32
 * (`o_proj`), rows in f32 to f16 (q, k, v), and SwiGLU of two that are f16 in between. To come after the checks in f32.
 */
export function halfBlockCheck(type: WeightType): Check {
  return {
    name: `linear layers ${type}, rows f16`,
    ways: ['halves', 'dense'],
    tolerance: HALF_TOLERANCE,
    async prepare(gpu) {
      const g = new GraphBuilder('self-test halves');
      const weight = g.input('weight', [N, K], type);
      const attention = g.input('attention', ['rows', K], 'f16');
      g.output('added', g.gemm(attention, weight, g.input('residual', ['rows', N])));
      const x = g.input('x', ['rows', K]);
      g.output('q', g.gemm(x, weight, g.input('bias', [N])), 'f16');
      const [gate, up] = [g.gemm(x, weight), g.gemm(x, weight)].map((value) => g.store(value, 'f16'));
      g.output('product', g.siluMul(gate!, up!));
      const runtime = WgslRuntime.create(gpu);
      const graph = await runtime.compile(g.build());
      return async () => {
        const values = makeWeight(type, N, K);
        const w = values.upload(gpu);
        const tensors: GpuTensor[] = [];
        const keep = (tensor: GpuTensor) => {
          tensors.push(tensor);
          return tensor;
        };
        const times = (x: Float32Array, rows: number) =>
          Float64Array.from({ length: rows * N }, (_, i) => {
            let sum = 0;
            for (let k = 0; k < K; k++) sum += x[Math.floor(i / N) * K + k]! * values.at(i % N, k);
            return sum;
          });
        const bias = randomValues(11, N);
        const biasTensor = keep(uploadTensor(gpu, bias, [N], 'f32', 'bias'));
        let worst = 0;
        for (const rows of ROWS) {
          const attended = store(gpu, randomValues(12, rows * K), [rows, K], 'f16', 'attention');
          const [xs, rs] = [randomValues(13, rows * K), randomValues(14, rows * N)];
          const inputs = {
            weight: w,
            attention: keep(attended.tensor),
            residual: keep(uploadTensor(gpu, rs, [rows, N], 'f32', 'residual')),
            x: keep(uploadTensor(gpu, xs, [rows, K], 'f32', 'x')),
            bias: biasTensor,
          };
          const out = (label: string, dtype: 'f32' | 'f16') =>
            keep(createTensor(gpu, [rows, N], dtype, label));
          const outputs = { added: out('added', 'f32'), q: out('q', 'f16'), product: out('product', 'f32') };
          await graph.run(inputs, outputs);
          const product = times(xs, rows);
          const expected = {
            added: times(attended.values, rows).map((value, i) => value + rs[i]!),
            q: product.map((value, i) => value + bias[i % N]!),
            product: product.map((value) => (value / (1 + Math.exp(-value))) * value),
          };
          for (const name of ['added', 'q', 'product'] as const)
            worst = Math.max(worst, relativeError(await readStored(gpu, outputs[name]), expected[name]));
        }
        values.free(w);
        for (const { buffer } of tensors) buffer.destroy();
        runtime.destroy();
        return worst;
      };
    },
  };
}
