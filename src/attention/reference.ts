import type { QueryRun, SegmentTree } from './segment-tree';

/** Head counts and head size of an attention. */
export interface AttentionShape {
  /** Query heads; a multiple of `kv_heads`. Query head h reads KV head floor(h / (q_heads / kv_heads)). */
  readonly q_heads: number;
  readonly kv_heads: number;
  /** Elements of a head: a multiple of 8, at most 128. */
  readonly head_dim: number;
}

/** Rows of the KV storage that a query row sees, as `[start, count]` ranges: oldest ancestor first, own rows last. */
export function visibleRanges(tree: SegmentTree, segment: number, offset: number): [number, number][] {
  const ranges: [number, number][] = [];
  const own = tree.segments[segment];
  if (!own) throw new Error(`There is no segment ${segment}.`);
  for (let up = own.parent; up !== -1; up = tree.segments[up]!.parent) {
    const node = tree.segments[up]!;
    ranges.unshift([node.start, node.length]);
  }
  ranges.push([own.start, own.causal ? Math.min(offset + 1, own.length) : own.length]);
  return ranges;
}

/**
 * Attention over a segment tree in float64: o = softmax(scale q k^T) v, lse = natural logarithm of the sum of the
 * exponentials of the scaled scores. The plain formula, to which the kernels are held.
 * @param q `[rows, q_heads, head_dim]`
 * @param k `[T, kv_heads, head_dim]`; `v` the same
 * @returns o `[rows, q_heads, head_dim]` and lse `[rows, q_heads]`; rows that no run names hold NaN.
 */
export function attentionReference(
  shape: AttentionShape,
  tree: SegmentTree,
  runs: readonly QueryRun[],
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  v: ArrayLike<number>,
  scale = shape.head_dim ** -0.5,
): { o: Float64Array; lse: Float64Array } {
  const { q_heads, kv_heads, head_dim } = shape;
  const group = q_heads / kv_heads;
  const o = new Float64Array(q.length).fill(Number.NaN);
  const lse = new Float64Array(q.length / head_dim).fill(Number.NaN);
  for (const run of runs) {
    for (let i = 0; i < run.count; i++) {
      const keys = visibleRanges(tree, run.segment, run.offset + i).flatMap(([start, count]) =>
        Array.from({ length: count }, (_, j) => start + j),
      );
      for (let h = 0; h < q_heads; h++) {
        const at = ((run.row + i) * q_heads + h) * head_dim;
        const kv = keys.map((key) => (key * kv_heads + Math.floor(h / group)) * head_dim);
        const scores = kv.map((base) => {
          let dot = 0;
          for (let d = 0; d < head_dim; d++) dot += q[at + d]! * k[base + d]!;
          return dot * scale;
        });
        const max = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
        const weights = scores.map((s) => Math.exp(s - max));
        const sum = weights.reduce((a, b) => a + b, 0);
        for (let d = 0; d < head_dim; d++) {
          let value = 0;
          for (const [j, base] of kv.entries()) value += weights[j]! * v[base + d]!;
          o[at + d] = value / sum;
        }
        lse[(run.row + i) * q_heads + h] = max + Math.log(sum);
      }
    }
  }
  return { o, lse };
}

/** The log-sum-exp of every row and head, `[rows, q_heads]`, from the kernels' stats `[rows, q_heads, 4]`. */
export function logSumExp(stats: ArrayLike<number>): Float64Array {
  return Float64Array.from({ length: stats.length / 4 }, (_, i) => stats[4 * i]! + stats[4 * i + 1]!);
}
