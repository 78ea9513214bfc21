import { Attention } from '../../attention/attention';
import { AttentionBackward } from '../../attention/backward';
import { KeyPlan } from '../../attention/key-plan';
import { AttentionPlan } from '../../attention/plan';
import { type AttentionShape, logSumExp } from '../../attention/reference';
import { type QueryRun, SegmentTree } from '../../attention/segment-tree';
import type { Gpu } from '../../gpu/device';
import { Recorder } from '../../gpu/recorder';
import { createTensor, readF32, uploadTensor } from '../../gpu/tensor';
import type { AttentionCases, ReferenceTensors } from './reference';
import { F32_TOLERANCE, type StageList } from './report';

/** Inputs are of order 1; where a row sees a single key, its gradients cancel to 0. */
const UNIT = 0.5;

interface Case {
  name: string;
  shape: AttentionShape;
  scale: number;
  tree: SegmentTree;
  runs: QueryRun[];
  /** Rows of q and of k, v: names of tensors [heads, length, D] that follow each other. */
  queries: string[];
  keys: string[];
}

/** `attention.<case>.o`, `.lse`, `.dq`, `.dk` and `.dv`: our attention against values computed in float64. */
export async function verifyAttention(
  list: StageList,
  gpu: Gpu,
  cases: AttentionCases,
  tensors: ReferenceTensors,
): Promise<void> {
  const items = [...cases.cases.map(single), ...(cases.shared_prefix ?? []).map(shared)];
  // All at once: compiling is most of the time on a CPU adapter.
  const kernels = await Promise.all(
    items.map(async ({ shape, scale }) => ({
      attention: await Attention.create(gpu, shape, scale),
      backward: await AttentionBackward.create(gpu, shape, scale),
    })),
  );
  for (const [i, item] of items.entries()) {
    const { attention, backward } = kernels[i]!;
    const { q_heads, kv_heads, head_dim } = item.shape;
    const joined = (names: string[], key: string, heads: number) =>
      concat(names.map((name) => rowsFirst(tensors.f32(`${name}.${key}`), heads, tensors, `${name}.${key}`)));
    const q = joined(item.queries, 'q', q_heads);
    const k = joined(item.keys, 'k', kv_heads);
    const v = joined(item.keys, 'v', kv_heads);
    const rows = q.length / q_heads / head_dim;
    const T = k.length / kv_heads / head_dim;
    const gpuTensors = {
      q: uploadTensor(gpu, q, [rows, q_heads, head_dim], 'f32', 'q'),
      k: uploadTensor(gpu, k, [T, kv_heads, head_dim], 'f32', 'k'),
      v: uploadTensor(gpu, v, [T, kv_heads, head_dim], 'f32', 'v'),
      o: createTensor(gpu, [rows, q_heads, head_dim], 'f32', 'o'),
      stats: createTensor(gpu, [rows, q_heads, 4], 'f32', 'stats'),
      d_o: uploadTensor(gpu, joined(item.queries, 'do', q_heads), [rows, q_heads, head_dim], 'f32', 'do'),
      dq: createTensor(gpu, [rows, q_heads, head_dim], 'f32', 'dq'),
      dk: createTensor(gpu, [T, kv_heads, head_dim], 'f32', 'dk'),
      dv: createTensor(gpu, [T, kv_heads, head_dim], 'f32', 'dv'),
    };
    const plan = AttentionPlan.create(gpu, item.tree, item.runs);
    const recorder = new Recorder(gpu, item.name);
    attention.record(recorder, plan, gpuTensors);
    const keys = KeyPlan.create(gpu, item.tree, item.runs);
    backward.record(recorder, plan, keys, gpuTensors);
    recorder.submit();
    const compare = (key: string, got: ArrayLike<number>, names: string[], heads: number) =>
      list.compare(`attention.${item.name}.${key}`, got, joined(names, key, heads), F32_TOLERANCE, UNIT);
    compare('o', await readF32(gpu, gpuTensors.o), item.queries, q_heads);
    compare('lse', logSumExp(await readF32(gpu, gpuTensors.stats)), item.queries, q_heads);
    compare('dq', await readF32(gpu, gpuTensors.dq), item.queries, q_heads);
    compare('dk', await readF32(gpu, gpuTensors.dk), item.keys, kv_heads);
    compare('dv', await readF32(gpu, gpuTensors.dv), item.keys, kv_heads);
    plan.destroy();
    keys.destroy();
    attention.destroy();
    for (const tensor of Object.values(gpuTensors)) tensor.buffer.destroy();
  }
}

/** One sequence of queries. Causal with more keys than queries: a prefix segment and its child. */
function single(c: AttentionCases['cases'][number]): Case {
  const tree = new SegmentTree();
  let own = 0;
  if (c.causal) {
    const before = c.kv_len - c.q_len;
    let parent = -1;
    if (before > 0) {
      parent = tree.add({ parent, capacity: before, causal: true });
      tree.append(parent, before);
    }
    own = tree.add({ parent, capacity: c.q_len, causal: true });
    tree.append(own, c.q_len);
  } else tree.append(tree.add({ parent: -1, capacity: c.kv_len, causal: false }), c.kv_len);
  return {
    ...common(c),
    tree,
    runs: [{ row: 0, count: c.q_len, segment: own, offset: 0 }],
    queries: [c.name],
    keys: [c.name],
  };
}

/** One prefix and several suffixes that see it and themselves. */
function shared(c: AttentionCases['shared_prefix'][number]): Case {
  const tree = new SegmentTree();
  const prefix = tree.add({ parent: -1, capacity: c.prefix_len, causal: true });
  tree.append(prefix, c.prefix_len);
  const runs: QueryRun[] = [];
  let row = 0;
  for (const count of c.suffix_lens) {
    const segment = tree.add({ parent: prefix, capacity: count, causal: true });
    tree.append(segment, count);
    runs.push({ row, count, segment, offset: 0 });
    row += count;
  }
  const suffixes = c.suffix_lens.map((_, i) => `${c.name}.suffix${i}`);
  return { ...common(c), tree, runs, queries: suffixes, keys: [`${c.name}.prefix`, ...suffixes] };
}

function common(c: { name: string; q_heads: number; kv_heads: number; head_dim: number; scale: number }) {
  const { name, q_heads, kv_heads, head_dim, scale } = c;
  return { name, scale, shape: { q_heads, kv_heads, head_dim } };
}

/** `[H, L, ...]` to `[L, H, ...]`. */
function rowsFirst(
  values: Float32Array,
  heads: number,
  tensors: ReferenceTensors,
  name: string,
): Float32Array<ArrayBuffer> {
  const length = tensors.shape(name)[1]!;
  const dim = values.length / heads / length;
  const out = new Float32Array(values.length);
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < length; i++) {
      const from = (h * length + i) * dim;
      out.set(values.subarray(from, from + dim), (i * heads + h) * dim);
    }
  }
  return out;
}

function concat(parts: Float32Array<ArrayBuffer>[]): Float32Array<ArrayBuffer> {
  const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
