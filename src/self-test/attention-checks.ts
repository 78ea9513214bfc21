import { Attention } from '../attention/attention';
import { AttentionPlan } from '../attention/plan';
import { type AttentionShape, attentionReference } from '../attention/reference';
import { RotaryAppend, rotaryReference } from '../attention/rotary';
import { type QueryRun, SegmentTree } from '../attention/segment-tree';
import { randomValues } from '../bench/random-values';
import { Recorder } from '../gpu/recorder';
import { createTensor, readF32, uploadTensor } from '../gpu/tensor';
import { type Check, relativeError } from './self-test';

/** Attention of one shape: a prompt with two children, all rows at once (prefill) and the children's last (decode). */
export function attentionCheck(shape: AttentionShape, causal: boolean): Check {
  const { q_heads, kv_heads, head_dim } = shape;
  return {
    name: `attention ${q_heads} x ${head_dim}${causal ? ', shared prefix' : ''}`,
    ways: ['subgroups', 'tiles'],
    tolerance: 1e-5,
    async prepare(gpu) {
      const attention = await Attention.create(gpu, shape);
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
        const [kValues, vValues] = [31, 32].map((seed) =>
          randomValues(seed, tree.capacity * kv_heads * head_dim),
        ) as [Float32Array<ArrayBuffer>, Float32Array<ArrayBuffer>];
        const k = uploadTensor(gpu, kValues, kv, 'f32', 'k');
        const v = uploadTensor(gpu, vValues, kv, 'f32', 'v');
        let worst = 0;
        for (const runs of passes) {
          const plan = AttentionPlan.create(gpu, tree, runs);
          const dims = [plan.row_count, q_heads, head_dim];
          const values = randomValues(33, plan.row_count * q_heads * head_dim);
          const q = uploadTensor(gpu, values, dims, 'f32', 'q');
          const o = createTensor(gpu, dims, 'f32', 'o');
          const recorder = new Recorder(gpu, 'self-test');
          attention.record(recorder, plan, { q, k, v, o });
          recorder.submit();
          const expected = attentionReference(shape, tree, runs, values, kValues, vValues);
          worst = Math.max(worst, relativeError(await readF32(gpu, o), expected.o));
          for (const { buffer } of [q, o]) buffer.destroy();
          plan.destroy();
        }
        for (const { buffer } of [k, v]) buffer.destroy();
        attention.destroy();
        return worst;
      };
    },
  };
}

/** The rotary embedding of queries, and keys and values into their cache. */
export function rotaryCheck(shape: AttentionShape, theta: number): Check {
  const { q_heads, kv_heads, head_dim } = shape;
  return {
    name: 'rotary embedding, KV cache',
    ways: [],
    tolerance: 1e-5,
    async prepare(gpu) {
      const rotary = await RotaryAppend.create(gpu, shape, { theta, max_positions: 16 });
      return async () => {
        const tree = new SegmentTree();
        const segment = tree.add({ parent: -1, capacity: 9, causal: true });
        tree.append(segment, 9);
        const plan = AttentionPlan.create(gpu, tree, [{ row: 0, count: 5, segment, offset: 4 }]);
        const positions = [4, 5, 6, 7, 8];
        const upload = (heads: number, seed: number, label: string) => {
          const values = randomValues(seed, 5 * heads * head_dim);
          return { values, tensor: uploadTensor(gpu, values, [5, heads, head_dim], 'f32', label) };
        };
        const q = upload(q_heads, 41, 'q');
        const k = upload(kv_heads, 42, 'k');
        const v = upload(kv_heads, 43, 'v');
        const k_cache = createTensor(gpu, [9, kv_heads, head_dim], 'f32', 'k cache');
        const v_cache = createTensor(gpu, [9, kv_heads, head_dim], 'f32', 'v cache');
        const recorder = new Recorder(gpu, 'self-test');
        rotary.record(recorder, plan, { q: q.tensor, k: k.tensor, v: v.tensor, k_cache, v_cache });
        recorder.submit();
        const appended = 4 * kv_heads * head_dim;
        const error = Math.max(
          relativeError(
            await readF32(gpu, q.tensor),
            rotaryReference(q.values, q_heads, head_dim, positions, theta),
          ),
          relativeError(
            (await readF32(gpu, k_cache)).subarray(appended),
            rotaryReference(k.values, kv_heads, head_dim, positions, theta),
          ),
          relativeError((await readF32(gpu, v_cache)).subarray(appended), v.values),
        );
        for (const { buffer } of [q.tensor, k.tensor, v.tensor, k_cache, v_cache]) buffer.destroy();
        plan.destroy();
        rotary.destroy();
        return error;
      };
    },
  };
}
