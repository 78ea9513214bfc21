import { KeyPlan } from '../attention/key-plan';
import { AttentionPlan } from '../attention/plan';
import { attentionReference } from '../attention/reference';
import { type QueryRun, SegmentTree } from '../attention/segment-tree';
import type { Gpu } from '../gpu/device';
import { createTensor, type GpuTensor, uploadTensor } from '../gpu/tensor';
import type { AttentionSpec } from './attention-specs';
import { roundToHalves, toHalves } from './halves';
import { randomValues } from './random-values';
import type { Work } from './report';

/** Memory for distinct caches: a GPU's own cache must not hold what a decode step reads. */
const CACHE_BYTES = { cpu: 2 ** 26, gpu: 2 ** 31 };
const MOST_CACHES = 36;

/** A tree and its query rows: the prefix shared by all children, or copied to each. */
export interface Layout {
  tree: SegmentTree;
  runs: QueryRun[];
}

/** The prefix once, and the children under it. */
export function sharedLayout({ kernel, prefix, children, suffix, causal }: AttentionSpec): Layout {
  const tree = new SegmentTree();
  const root = tree.add({ parent: -1, capacity: prefix, causal });
  tree.append(root, prefix);
  if (children === 0) return { tree, runs: [{ row: 0, count: prefix, segment: root, offset: 0 }] };
  const count = kernel === 'decode' ? 1 : suffix;
  const runs = Array.from({ length: children }, (_, i) => {
    const segment = tree.add({ parent: root, capacity: suffix, causal });
    tree.append(segment, suffix);
    return { row: i * count, count, segment, offset: suffix - count };
  });
  return { tree, runs };
}

/** Every child with a prefix of its own: the rows see the same keys, in other places. */
export function copiedLayout({ kernel, prefix, children, suffix, causal }: AttentionSpec): Layout {
  const tree = new SegmentTree();
  const count = kernel === 'decode' ? 1 : suffix;
  const runs = Array.from({ length: children }, (_, i) => {
    const segment = tree.add({ parent: -1, capacity: prefix + suffix, causal });
    tree.append(segment, prefix + suffix);
    return { row: i * count, count, segment, offset: prefix + suffix - count };
  });
  return { tree, runs };
}

/** Host values of a spec, by the shared layout. */
export interface SceneValues {
  q: Float32Array<ArrayBuffer>;
  k: Float32Array<ArrayBuffer>;
  v: Float32Array<ArrayBuffer>;
  d_o: Float32Array<ArrayBuffer>;
  /** Query rows. */
  rows: number;
}

/** Random values: queries and keys large enough that some keys matter more than others. */
export function sceneValues(spec: AttentionSpec): SceneValues {
  const { q_heads, kv_heads, head_dim } = spec.shape;
  const { tree, runs } = sharedLayout(spec);
  const stored = spec.dtype === 'f16' ? roundToHalves : (values: Float32Array<ArrayBuffer>) => values;
  const rows = runs.reduce((sum, run) => sum + run.count, 0);
  const kv = tree.capacity * kv_heads * head_dim;
  const q = rows * q_heads * head_dim;
  return {
    q: randomValues(1, q),
    k: stored(randomValues(2, kv)),
    v: stored(randomValues(3, kv)),
    d_o: randomValues(4, q),
    rows,
  };
}

/** What a kernel needs of one layout: plans, and keys and values in one or more distinct caches. */
export interface Scene {
  layout: Layout;
  plan: AttentionPlan;
  keys: KeyPlan | undefined;
  q: GpuTensor;
  o: GpuTensor;
  stats: GpuTensor;
  caches: { k: GpuTensor; v: GpuTensor }[];
  destroy(): void;
}

/** Uploads a spec's values in a layout. @throws GpuMemoryError where there is no room. */
export async function openScene(
  gpu: Gpu,
  spec: AttentionSpec,
  values: SceneValues,
  shared: boolean,
): Promise<Scene> {
  const { q_heads, kv_heads, head_dim } = spec.shape;
  const layout = shared ? sharedLayout(spec) : copiedLayout(spec);
  const rowSize = kv_heads * head_dim;
  const kvShape = [layout.tree.capacity, kv_heads, head_dim];
  const upload = (x: Float32Array<ArrayBuffer>, label: string) => {
    const values = shared ? x : copyPrefix(spec, x, rowSize);
    return uploadTensor(gpu, spec.dtype === 'f16' ? toHalves(values) : values, kvShape, spec.dtype, label);
  };
  const first = { k: upload(values.k, 'bench k'), v: upload(values.v, 'bench v') };
  const caches = [first];
  const bytes = 2 * first.k.buffer.size;
  const room = CACHE_BYTES[gpu.adapter.isFallback ? 'cpu' : 'gpu'];
  const wanted = spec.kernel === 'decode' ? Math.max(1, Math.min(MOST_CACHES, Math.floor(room / bytes))) : 1;
  const encoder = gpu.device.createCommandEncoder();
  while (caches.length < wanted) {
    const next = {
      k: createTensor(gpu, kvShape, spec.dtype, 'bench k'),
      v: createTensor(gpu, kvShape, spec.dtype, 'bench v'),
    };
    encoder.copyBufferToBuffer(first.k.buffer, 0, next.k.buffer, 0, first.k.buffer.size);
    encoder.copyBufferToBuffer(first.v.buffer, 0, next.v.buffer, 0, first.v.buffer.size);
    caches.push(next);
  }
  gpu.device.queue.submit([encoder.finish()]);
  const qShape = [values.rows, q_heads, head_dim];
  const q = uploadTensor(gpu, values.q, qShape, 'f32', 'bench q');
  const o = createTensor(gpu, qShape, 'f32', 'bench o');
  const stats = createTensor(gpu, [values.rows, q_heads, 4], 'f32', 'bench stats');
  const plan = AttentionPlan.create(gpu, layout.tree, layout.runs);
  const keys = spec.kernel === 'backward' ? KeyPlan.create(gpu, layout.tree, layout.runs) : undefined;
  const destroy = () => {
    for (const { k, v } of caches) for (const tensor of [k, v]) tensor.buffer.destroy();
    for (const tensor of [q, o, stats]) tensor.buffer.destroy();
    plan.destroy();
    keys?.destroy();
  };
  try {
    await gpu.memory.check();
  } catch (cause) {
    destroy();
    throw cause;
  }
  return { layout, plan, keys, q, o, stats, caches, destroy };
}

/** Keys or values `[T, row]` of the shared layout with the prefix in front of each child's rows. */
export function copyPrefix(
  spec: AttentionSpec,
  x: Float32Array<ArrayBuffer>,
  rowSize: number,
): Float32Array<ArrayBuffer> {
  const { prefix, children, suffix } = spec;
  const each = (prefix + suffix) * rowSize;
  const out = new Float32Array(children * each);
  for (let child = 0; child < children; child++) {
    out.set(x.subarray(0, prefix * rowSize), child * each);
    const from = (prefix + child * suffix) * rowSize;
    out.set(x.subarray(from, from + suffix * rowSize), child * each + prefix * rowSize);
  }
  return out;
}

/**
 * Work of an attention: a query row and a key take two products of D in the forward pass (scores, values) and seven in
 * ours backward (scores and the gradient of the probabilities twice, dq, dk, dv). Bytes: every key and value row in
 * use once (and its gradient), every row of q, o, ... once.
 * @param shared whether the children share the prefix, or each has a copy.
 */
export function attentionWork(
  spec: AttentionSpec,
  plan: AttentionPlan,
  values: SceneValues,
  shared: boolean,
): Work {
  const { q_heads, kv_heads, head_dim } = spec.shape;
  const back = spec.kernel === 'backward';
  const prefixes = shared ? 1 : spec.children;
  const kvRows = prefixes * spec.prefix + spec.children * spec.suffix;
  return {
    operations: (back ? 14 : 4) * plan.visible_pairs * q_heads * head_dim,
    bytes:
      head_dim *
      (back ? 4 : 2) *
      ((spec.dtype === 'f16' ? 2 : 4) * kvRows * kv_heads + 4 * values.rows * q_heads),
  };
}

/** The largest error of some rows of o against the float64 reference, relative to their largest value. */
export function forwardError(spec: AttentionSpec, values: SceneValues, o: ArrayLike<number>): number {
  const { q_heads, head_dim } = spec.shape;
  const { tree, runs } = sharedLayout(spec);
  const checked = new Set([0, runs.length >> 1, runs.length - 1]);
  const sampled = [...checked].map((i) => {
    const run = runs[i]!;
    const last = run.count - 1;
    return { row: run.row + last, count: 1, segment: run.segment, offset: run.offset + last };
  });
  const expected = attentionReference(spec.shape, tree, sampled, values.q, values.k, values.v).o;
  let worst = 0;
  let largest = 0;
  for (const { row } of sampled) {
    for (let i = row * q_heads * head_dim; i < (row + 1) * q_heads * head_dim; i++) {
      const difference = Math.abs(o[i]! - expected[i]!);
      worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(worst, difference);
      largest = Math.max(largest, Math.abs(expected[i]!));
    }
  }
  return worst / largest;
}
