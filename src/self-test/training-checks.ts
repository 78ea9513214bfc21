import { Attention } from '../attention/attention';
import { AttentionBackward } from '../attention/backward';
import { attentionBackwardReference } from '../attention/backward-reference';
import { KeyPlan } from '../attention/key-plan';
import { AttentionPlan } from '../attention/plan';
import type { AttentionShape } from '../attention/reference';
import { type QueryRun, SegmentTree } from '../attention/segment-tree';
import type { WeightType } from '../bench/linear-weights';
import { randomValues } from '../bench/random-values';
import { Recorder } from '../gpu/recorder';
import { createTensor, readF32, uploadTensor } from '../gpu/tensor';
import { AdamW } from '../grpo/adamw';
import { DEFAULT_ADAMW } from '../grpo/adamw-config';
import { TrainingKernels } from '../grpo/training-kernels';
import type { TinyLlavaConfig } from '../model/config';
import { linearGradientCheck, pointwiseGradientCheck } from './gradient-checks';
import { languageShape } from './model-checks';
import { type Check, relativeError } from './self-test';

/** The checks of what training compiles beside the kernels of answers. `weights`: types of the language model's. */
export function trainingChecks(config: TinyLlavaConfig, weights: Iterable<WeightType>): Check[] {
  return [
    attentionGradientCheck(languageShape(config)),
    ...[...weights].map(linearGradientCheck),
    pointwiseGradientCheck,
    lossCheck,
    adamwCheck,
  ];
}

/** Gradients of attention: a prompt's last rows and two children, so that the prompt's keys have several readers. */
export function attentionGradientCheck(shape: AttentionShape): Check {
  const { q_heads, kv_heads, head_dim } = shape;
  return {
    name: `attention ${q_heads} x ${head_dim}, gradients`,
    ways: ['subgroups', 'tiles'],
    tolerance: 1e-5,
    async prepare(gpu) {
      const [attention, backward] = await Promise.all([
        Attention.create(gpu, shape),
        AttentionBackward.create(gpu, shape),
      ]);
      return async () => {
        const tree = new SegmentTree();
        const prompt = tree.add({ parent: -1, capacity: 37, causal: true });
        tree.append(prompt, 37);
        const runs: QueryRun[] = [{ row: 0, count: 6, segment: prompt, offset: 31 }];
        for (const count of [3, 2]) {
          const segment = tree.add({ parent: prompt, capacity: count, causal: true });
          tree.append(segment, count);
          const { row, count: before } = runs.at(-1)!;
          runs.push({ row: row + before, count, segment, offset: 0 });
        }
        const plan = AttentionPlan.create(gpu, tree, runs);
        const keys = KeyPlan.create(gpu, tree, runs);
        const rowDims = [plan.row_count, q_heads, head_dim];
        const keyDims = [tree.capacity, kv_heads, head_dim];
        const given = (seed: number, dims: readonly number[], label: string) => {
          const values = randomValues(
            seed,
            dims.reduce((a, b) => a * b),
          );
          return { values, tensor: uploadTensor(gpu, values, dims, 'f32', label) };
        };
        const q = given(61, rowDims, 'q');
        const k = given(62, keyDims, 'k');
        const v = given(63, keyDims, 'v');
        const d_o = given(64, rowDims, 'd_o');
        const o = createTensor(gpu, rowDims, 'f32', 'o');
        const stats = createTensor(gpu, [plan.row_count, q_heads, 4], 'f32', 'stats');
        const gradients = {
          dq: createTensor(gpu, rowDims, 'f32', 'dq'),
          dk: createTensor(gpu, keyDims, 'f32', 'dk'),
          dv: createTensor(gpu, keyDims, 'f32', 'dv'),
        };
        const tensors = { q: q.tensor, k: k.tensor, v: v.tensor, o, stats };
        const recorder = new Recorder(gpu, 'self-test');
        attention.record(recorder, plan, tensors);
        backward.record(recorder, plan, keys, { ...tensors, d_o: d_o.tensor, ...gradients });
        recorder.submit();
        const want = attentionBackwardReference(shape, tree, runs, q.values, k.values, v.values, d_o.values);
        let worst = 0;
        for (const name of ['dq', 'dk', 'dv'] as const)
          worst = Math.max(worst, relativeError(await readF32(gpu, gradients[name]), want[name]));
        for (const { buffer } of [...Object.values(tensors), d_o.tensor, ...Object.values(gradients)])
          buffer.destroy();
        for (const part of [plan, keys, attention]) part.destroy();
        return worst;
      };
    },
  };
}

/** Log-probabilities of tokens and their gradient of logits, at a temperature that is not 1. */
export const lossCheck: Check = {
  name: 'log-probabilities, gradient of logits',
  ways: [],
  // Of sums of exponentials over a vocabulary.
  tolerance: 1e-4,
  async prepare(gpu) {
    const kernels = await TrainingKernels.create(gpu);
    return async () => {
      const [rows, vocab] = [3, 547];
      const temperature = 0.7;
      const values = randomValues(71, rows * vocab).map((value) => 5 * value);
      const wanted = Uint32Array.of(5, 546, 100);
      const slopes = Float32Array.of(1, -0.5, 2);
      const logits = uploadTensor(gpu, values, [rows, vocab], 'f32', 'logits');
      const tokens = uploadTensor(gpu, wanted, [rows], 'u32', 'tokens');
      const gradients = uploadTensor(gpu, slopes, [rows], 'f32', 'gradients');
      const stats = createTensor(gpu, [rows, 4], 'f32', 'stats');
      const recorder = new Recorder(gpu, 'self-test');
      const given = { tokens, first: 0, stats, temperature };
      kernels.logps(recorder, logits, given);
      kernels.logitsGrad(recorder, logits, { ...given, gradients });
      recorder.submit();
      const logps: number[] = [];
      const slope: number[] = [];
      for (let row = 0; row < rows; row++) {
        const own = Float64Array.from(
          values.subarray(row * vocab, (row + 1) * vocab),
          (z) => z / temperature,
        );
        const sum = own.reduce((total, value) => total + Math.exp(value), 0);
        logps.push(own[wanted[row]!]! - Math.log(sum));
        for (const [i, value] of own.entries())
          slope.push((slopes[row]! * (Number(i === wanted[row]) - Math.exp(value) / sum)) / temperature);
      }
      const found = await readF32(gpu, stats);
      const worst = Math.max(
        relativeError([found[0]!, found[4]!, found[8]!], logps),
        relativeError(await readF32(gpu, logits), slope),
      );
      for (const { buffer } of [logits, tokens, gradients, stats]) buffer.destroy();
      return worst;
    };
  },
};

/** Two steps of the optimiser: weights and both moments, with clipped gradients and weight decay. */
export const adamwCheck: Check = {
  name: 'AdamW',
  ways: [],
  tolerance: 1e-5,
  async prepare(gpu) {
    const count = 100;
    const config = { ...DEFAULT_ADAMW, weight_decay: 0.1 };
    const start = randomValues(81, count);
    const weight = uploadTensor(gpu, start, [count], 'f32', 'weight');
    const optimiser = await AdamW.create(gpu, new Map([['w', weight]]), config);
    return async () => {
      const rate = 0.05;
      // As the kernel has them: 1 - 0.999 in f32 is off by 1e-5.
      const [beta1, beta2] = [Math.fround(config.adam_beta1), Math.fround(config.adam_beta2)];
      const w = Float64Array.from(start);
      const [m, v] = [new Float64Array(count), new Float64Array(count)];
      for (const step of [1, 2]) {
        const gradient = randomValues(81 + step, count);
        const tensor = uploadTensor(gpu, gradient, [count], 'f32', 'gradient');
        await optimiser.apply(new Map([['w', tensor]]), rate);
        tensor.buffer.destroy();
        const clip = Math.min(1, config.max_grad_norm / Math.hypot(...gradient));
        for (let i = 0; i < count; i++) {
          const g = gradient[i]! * clip;
          m[i] = beta1 * m[i]! + (1 - beta1) * g;
          v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
          const size = Math.sqrt(v[i]! / (1 - config.adam_beta2 ** step)) + config.adam_epsilon;
          w[i] =
            w[i]! * (1 - rate * config.weight_decay) -
            (rate * m[i]!) / (1 - config.adam_beta1 ** step) / size;
        }
      }
      const state = await optimiser.read();
      const worst = Math.max(
        relativeError(await readF32(gpu, weight), w),
        relativeError(state.m.get('w')!, m),
        relativeError(state.v.get('w')!, v),
      );
      optimiser.destroy();
      weight.buffer.destroy();
      return worst;
    };
  },
};
