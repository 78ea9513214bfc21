import { Attention } from '../../src/attention/attention';
import { AttentionBackward } from '../../src/attention/backward';
import { KeyPlan } from '../../src/attention/key-plan';
import { AttentionPlan } from '../../src/attention/plan';
import { type AttentionShape, logSumExp } from '../../src/attention/reference';
import type { QueryRun, SegmentTree } from '../../src/attention/segment-tree';
import {
  type AttentionTypes,
  type AttentionVariant,
  type BackwardVariant,
  F32_TYPES,
} from '../../src/attention/variants';
import type { Gpu } from '../../src/gpu/device';
import { Recorder } from '../../src/gpu/recorder';
import { type GpuTensor, readTensor, uploadTensor } from '../../src/gpu/tensor';
import { fromHalf, toHalf } from './half';

/** What outputs hold before a kernel writes them; f16 cannot hold more. */
export const POISON = 60_000;

export interface AttentionRun {
  shape: AttentionShape;
  tree: SegmentTree;
  runs: readonly QueryRun[];
  q: Float32Array<ArrayBuffer>;
  k: Float32Array<ArrayBuffer>;
  v: Float32Array<ArrayBuffer>;
  /** With it, the gradients are computed too. */
  d_o?: Float32Array<ArrayBuffer>;
  scale?: number;
}

export interface RunOptions {
  variant?: AttentionVariant;
  backward?: BackwardVariant;
  types?: AttentionTypes;
  binding_limit?: number;
  /** Default true. */
  stats?: boolean;
}

export interface AttentionResult {
  o: Float32Array;
  stats: Float32Array;
  lse: Float64Array;
  dq: Float32Array;
  dk: Float32Array;
  dv: Float32Array;
}

/** Runs attentions into poisoned outputs, all in one submit; dq, dk and dv are empty where no d_o is given. */
export async function runAttention(
  gpu: Gpu,
  inputs: readonly AttentionRun[],
  options: RunOptions = {},
): Promise<AttentionResult[]> {
  const { types = F32_TYPES, variant, backward: sizes, binding_limit } = options;
  const recorder = new Recorder(gpu, 'attention test');
  const forwardOptions = {
    types,
    ...(variant ? { variant } : {}),
    ...(binding_limit ? { binding_limit } : {}),
  };
  const backwardOptions = {
    types,
    ...(sizes ? { variant: sizes } : {}),
    ...(binding_limit ? { binding_limit } : {}),
  };
  const owned: { destroy(): void }[] = [];
  const started: { stats: GpuTensor; outputs: Record<'o' | 'dq' | 'dk' | 'dv', GpuTensor | undefined> }[] =
    [];
  for (const { shape, tree, runs, q, k, v, d_o, scale } of inputs) {
    const { q_heads, kv_heads, head_dim } = shape;
    const upload = (values: Float32Array<ArrayBuffer>, heads: number, type: 'f32' | 'f16', label: string) => {
      const data = type === 'f16' ? toHalf(values) : values;
      const tensor = uploadTensor(
        gpu,
        data,
        [values.length / heads / head_dim, heads, head_dim],
        type,
        label,
      );
      owned.push(tensor.buffer);
      return tensor;
    };
    const like = (values: Float32Array<ArrayBuffer>, heads: number, type: 'f32' | 'f16', label: string) =>
      upload(new Float32Array(values.length).fill(POISON), heads, type, label);
    const rows = q.length / q_heads / head_dim;
    const poisoned = new Float32Array(rows * q_heads * 4).fill(POISON);
    const stats = uploadTensor(gpu, poisoned, [rows, q_heads, 4], 'f32', 'stats');
    owned.push(stats.buffer);
    const tensors = {
      q: upload(q, q_heads, types.rows, 'q'),
      k: upload(k, kv_heads, types.cache, 'k'),
      v: upload(v, kv_heads, types.cache, 'v'),
      o: like(q, q_heads, types.rows, 'o'),
    };
    const attention = await Attention.create(gpu, shape, scale, forwardOptions);
    const plan = AttentionPlan.create(gpu, tree, runs);
    owned.push(attention, plan);
    attention.record(recorder, plan, options.stats === false ? tensors : { ...tensors, stats });
    let gradients: Record<'dq' | 'dk' | 'dv', GpuTensor> | undefined;
    if (d_o) {
      const backward = await AttentionBackward.create(gpu, shape, scale, backwardOptions);
      const keys = KeyPlan.create(gpu, tree, runs);
      owned.push(keys);
      gradients = {
        dq: like(q, q_heads, types.rows, 'dq'),
        dk: like(k, kv_heads, types.cache, 'dk'),
        dv: like(v, kv_heads, types.cache, 'dv'),
      };
      const given = upload(d_o, q_heads, types.rows, 'do');
      backward.record(recorder, plan, keys, { ...tensors, stats, d_o: given, ...gradients });
    }
    const { dq, dk, dv } = gradients ?? {};
    started.push({ stats, outputs: { o: tensors.o, dq, dk, dv } });
  }
  recorder.submit();
  const read = async (tensor: GpuTensor | undefined): Promise<Float32Array> => {
    if (!tensor) return new Float32Array();
    const values = await readTensor(gpu, tensor);
    return values instanceof Uint16Array ? fromHalf(values) : (values as Float32Array);
  };
  const results: AttentionResult[] = [];
  for (const { stats, outputs } of started) {
    const [o, dq, dk, dv, written] = await Promise.all(
      [outputs.o, outputs.dq, outputs.dk, outputs.dv, stats].map(read),
    );
    results.push({ o: o!, stats: written!, lse: logSumExp(written!), dq: dq!, dk: dk!, dv: dv! });
  }
  for (const thing of owned) thing.destroy();
  return results;
}
