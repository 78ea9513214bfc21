import type { AttentionShape } from '../../src/attention/reference';
import { type QueryRun, SegmentTree } from '../../src/attention/segment-tree';
import meta from '../golden/attention.json';

/** One attention to be held to recorded or reference values; arrays in the kernels' layout. */
export interface AttentionCase {
  name: string;
  shape: AttentionShape;
  scale: number;
  tree: SegmentTree;
  runs: QueryRun[];
  q: Float32Array<ArrayBuffer>;
  k: Float32Array<ArrayBuffer>;
  v: Float32Array<ArrayBuffer>;
  o: Float32Array<ArrayBuffer>;
  lse: Float32Array<ArrayBuffer>;
  /** Gradient of o, and the gradients that follow from it. */
  d_o: Float32Array<ArrayBuffer>;
  dq: Float32Array<ArrayBuffer>;
  dk: Float32Array<ArrayBuffer>;
  dv: Float32Array<ArrayBuffer>;
}

export type GoldenMap = ReadonlyMap<string, { shape: readonly number[]; data: ArrayLike<number> }>;

/** `[H, L, D]` to `[L, H, D]`. */
function rowsFirst(values: ArrayLike<number>, heads: number, length: number): Float32Array<ArrayBuffer> {
  const dim = values.length / heads / length;
  const out = new Float32Array(values.length);
  for (let h = 0; h < heads; h++)
    for (let i = 0; i < length; i++)
      for (let d = 0; d < dim; d++) out[(i * heads + h) * dim + d] = values[(h * length + i) * dim + d]!;
  return out;
}

/** The golden cases with one sequence: a causal one with a longer KV is a prefix segment and its child. */
export function goldenCases(golden: GoldenMap): AttentionCase[] {
  return meta.cases.map((c) => {
    const get = (key: string) => golden.get(`${c.name}.${key}`)!.data;
    const tree = new SegmentTree();
    let parent = -1;
    let runs: QueryRun[] = [{ row: 0, count: c.q_len, segment: 0, offset: 0 }];
    if (!c.causal) {
      tree.append(tree.add({ parent, capacity: c.kv_len, causal: false }), c.kv_len);
    } else {
      const before = c.kv_len - c.q_len;
      if (before > 0) {
        parent = tree.add({ parent, capacity: before, causal: true });
        tree.append(parent, before);
      }
      const own = tree.add({ parent, capacity: c.q_len, causal: true });
      tree.append(own, c.q_len);
      runs = [{ row: 0, count: c.q_len, segment: own, offset: 0 }];
    }
    const { q_heads, kv_heads, head_dim } = c;
    return {
      name: c.name,
      shape: { q_heads, kv_heads, head_dim },
      scale: c.scale,
      tree,
      runs,
      q: rowsFirst(get('q'), q_heads, c.q_len),
      k: rowsFirst(get('k'), kv_heads, c.kv_len),
      v: rowsFirst(get('v'), kv_heads, c.kv_len),
      o: rowsFirst(get('o'), q_heads, c.q_len),
      lse: rowsFirst(get('lse'), q_heads, c.q_len),
      d_o: rowsFirst(get('do'), q_heads, c.q_len),
      dq: rowsFirst(get('dq'), q_heads, c.q_len),
      dk: rowsFirst(get('dk'), kv_heads, c.kv_len),
      dv: rowsFirst(get('dv'), kv_heads, c.kv_len),
    };
  });
}

/** Joins arrays of rows one behind the other. */
function concat(parts: Float32Array<ArrayBuffer>[]): Float32Array<ArrayBuffer> {
  const out = new Float32Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** The golden cases of a shared prefix: a prefix segment and one child for each suffix, one after the other. */
export function goldenPrefixCases(golden: GoldenMap): AttentionCase[] {
  return meta.shared_prefix.map((c) => {
    const { q_heads, kv_heads, head_dim } = c;
    const get = (part: string, key: string) => golden.get(`${c.name}.${part}.${key}`)!.data;
    const tree = new SegmentTree();
    const prefix = tree.add({ parent: -1, capacity: c.prefix_len, causal: true });
    tree.append(prefix, c.prefix_len);
    const runs: QueryRun[] = [];
    const names = c.suffix_lens.map((_, i) => `suffix${i}`);
    let row = 0;
    for (const count of c.suffix_lens) {
      const segment = tree.add({ parent: prefix, capacity: count, causal: true });
      tree.append(segment, count);
      runs.push({ row, count, segment, offset: 0 });
      row += count;
    }
    const query = (key: string) =>
      concat(names.map((name, i) => rowsFirst(get(name, key), q_heads, c.suffix_lens[i]!)));
    const keys = (key: string) =>
      concat([
        rowsFirst(get('prefix', key), kv_heads, c.prefix_len),
        ...names.map((name, i) => rowsFirst(get(name, key), kv_heads, c.suffix_lens[i]!)),
      ]);
    return {
      name: c.name,
      shape: { q_heads, kv_heads, head_dim },
      scale: c.scale,
      tree,
      runs,
      q: query('q'),
      k: keys('k'),
      v: keys('v'),
      o: query('o'),
      lse: query('lse'),
      d_o: query('do'),
      dq: query('dq'),
      dk: keys('dk'),
      dv: keys('dv'),
    };
  });
}

/** Uniform random numbers in [0, 1) from a seed (mulberry32): the same tests everywhere. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `n` normal numbers, rounded to f32. */
export function normals(random: () => number, n: number, deviation = 1): Float32Array<ArrayBuffer> {
  const out = new Float32Array(n);
  for (let i = 0; i < n; i++)
    out[i] = deviation * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return out;
}

/**
 * Largest difference over largest value; Infinity where a value is not a number. `floor` stands in for a largest value
 * below it: a gradient that is zero by cancellation is wrong by the rounding of the terms, not of itself.
 */
export function relativeError(got: ArrayLike<number>, want: ArrayLike<number>, floor = 0): number {
  if (got.length !== want.length) throw new Error(`${got.length} values against ${want.length}.`);
  let worst = 0;
  let largest = floor;
  for (let i = 0; i < want.length; i++) {
    const difference = Math.abs(got[i]! - want[i]!);
    if (Number.isNaN(difference)) return Number.POSITIVE_INFINITY;
    worst = Math.max(worst, difference);
    largest = Math.max(largest, Math.abs(want[i]!));
  }
  return worst === 0 ? 0 : worst / largest;
}

/** A random attention over a random tree: segments of 1 to 70 rows, some causal, and query runs over most of them. */
export function randomAttention(seed: number): {
  tree: SegmentTree;
  runs: QueryRun[];
  rows: number;
  random: () => number;
} {
  const random = seeded(seed);
  const below = (n: number) => Math.floor(random() * n);
  const tree = new SegmentTree();
  const runs: QueryRun[] = [];
  let rows = 0;
  const count = 1 + below(7);
  for (let id = 0; id < count; id++) {
    const parent = below(id + 1) - 1;
    const length = 1 + below(below(3) === 0 ? 70 : 9);
    const causal = below(4) > 0;
    tree.append(tree.add({ parent, capacity: length + below(5), causal }), length);
  }
  // A third of them are decode steps: the last row of segments.
  const decode = below(3) === 0;
  for (let id = 0; id < count; id++) {
    if (below(5) === 0 && id < count - 1) continue;
    const { length } = tree.segments[id]!;
    const offset = decode ? length - 1 : below(length);
    const n = 1 + below(length - offset);
    runs.push({ row: rows, count: n, segment: id, offset });
    rows += n;
  }
  return { tree, runs, rows, random };
}
