import { Attention } from '../attention/attention';
import { AttentionPlan } from '../attention/plan';
import { type AttentionShape, attentionReference } from '../attention/reference';
import { RotaryAppend, rotaryReference } from '../attention/rotary';
import { type QueryRun, SegmentTree } from '../attention/segment-tree';
import { type AttentionTypes, F32_TYPES } from '../attention/variants';
import { randomValues } from '../bench/random-values';
import { Recorder } from '../gpu/recorder';
import { createTensor } from '../gpu/tensor';
import { type Check, relativeError } from './self-test';
import { HALF_TOLERANCE, readStored, store } from './stored-tensor';

/** Of a check in f16 that comes after the same one in f32: it is the halves that are wrong. */
function halfWays(types: AttentionTypes, ways: Check['ways']): Pick<Check, 'ways' | 'tolerance'> {
  const half = types.rows === 'f16' || types.cache === 'f16';
  return half ? { ways: ['halves'], tolerance: HALF_TOLERANCE } : { ways, tolerance: 1e-5 };
}

/** ", f16", or what of it is. */
function typeWords({ rows, cache }: AttentionTypes): string {
  if (rows === cache) return rows === 'f16' ? ', f16' : '';
  return rows === 'f16' ? ', rows f16' : ', cache f16';
}

/** Attention of one shape: a prompt with two children, all rows at once (prefill) and the children's last (decode). */
export function attentionCheck(
  shape: AttentionShape,
  causal: boolean,
  types: AttentionTypes = F32_TYPES,
): Check {
  const { q_heads, kv_heads, head_dim } = shape;
  return {
    name: `attention ${q_heads} x ${head_dim}${causal ? ', shared prefix' : ''}${typeWords(types)}`,
    ...halfWays(types, ['subgroups', 'tiles']),
    async prepare(gpu) {
      const attention = await Attention.create(gpu, shape, undefined, { types });
      return async () => {
        const tree = new SegmentTree();
        const prompt = tree.add({ parent: -1, capacity: 21, causal });
        tree.append(prompt, 21);
        const passes: QueryRun[][] = [[{ row: 0, count: 21, segment: prompt, offset: 0 }]];
        if (causal) {
          const children = [3, 2].map((length, i) => {
            const segment = tree.add({ parent: prompt, capacity: length, causal });
            tree.append(segment, length);
            return { row: i, count: 1, segment, offset: length - 1 };
          });
          passes.push(children);
        }
        const kv = [tree.capacity, kv_heads, head_dim];
        const cached = (seed: number, label: string) =>
          store(gpu, randomValues(seed, tree.capacity * kv_heads * head_dim), kv, types.cache, label);
        const [k, v] = [cached(31, 'k'), cached(32, 'v')];
        let worst = 0;
        for (const runs of passes) {
          const plan = AttentionPlan.create(gpu, tree, runs);
          const dims = [plan.row_count, q_heads, head_dim];
          const q = store(gpu, randomValues(33, plan.row_count * q_heads * head_dim), dims, types.rows, 'q');
          const o = createTensor(gpu, dims, types.rows, 'o');
          const recorder = new Recorder(gpu, 'self-test');
          attention.record(recorder, plan, { q: q.tensor, k: k.tensor, v: v.tensor, o });
          recorder.submit();
          const expected = attentionReference(shape, tree, runs, q.values, k.values, v.values);
          worst = Math.max(worst, relativeError(await readStored(gpu, o), expected.o));
          for (const { buffer } of [q.tensor, o]) buffer.destroy();
          plan.destroy();
        }
        for (const { tensor } of [k, v]) tensor.buffer.destroy();
        attention.destroy();
        return worst;
      };
    },
  };
}

/** The rotary embedding of queries, and keys and values into their cache. */
export function rotaryCheck(shape: AttentionShape, theta: number, types: AttentionTypes = F32_TYPES): Check {
  const { q_heads, kv_heads, head_dim } = shape;
  return {
    name: `rotary embedding, KV cache${typeWords(types)}`,
    ...halfWays(types, []),
    async prepare(gpu) {
      const rotary = await RotaryAppend.create(gpu, shape, { theta, max_positions: 16, types });
      return async () => {
        const tree = new SegmentTree();
        const segment = tree.add({ parent: -1, capacity: 9, causal: true });
        tree.append(segment, 9);
        const plan = AttentionPlan.create(gpu, tree, [{ row: 0, count: 5, segment, offset: 4 }]);
        const positions = [4, 5, 6, 7, 8];
        const upload = (heads: number, seed: number, label: string) =>
          store(gpu, randomValues(seed, 5 * heads * head_dim), [5, heads, head_dim], types.rows, label);
        const q = upload(q_heads, 41, 'q');
        const k = upload(kv_heads, 42, 'k');
        const v = upload(kv_heads, 43, 'v');
        const k_cache = createTensor(gpu, [9, kv_heads, head_dim], types.cache, 'k cache');
        const v_cache = createTensor(gpu, [9, kv_heads, head_dim], types.cache, 'v cache');
        const recorder = new Recorder(gpu, 'self-test');
        rotary.record(recorder, plan, { q: q.tensor, k: k.tensor, v: v.tensor, k_cache, v_cache });
        recorder.submit();
        const appended = 4 * kv_heads * head_dim;
        const error = Math.max(
          relativeError(
            await readStored(gpu, q.tensor),
            rotaryReference(q.values, q_heads, head_dim, positions, theta),
          ),
          relativeError(
            (await readStored(gpu, k_cache)).subarray(appended),
            rotaryReference(k.values, kv_heads, head_dim, positions, theta),
          ),
          relativeError((await readStored(gpu, v_cache)).subarray(appended), v.values),
        );
        for (const { buffer } of [q.tensor, k.tensor, v.tensor, k_cache, v_cache]) buffer.destroy();
        plan.destroy();
        rotary.destroy();
        return error;
      };
    },
  };
}
