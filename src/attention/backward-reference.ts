import { type AttentionShape, visibleRanges } from './reference';
import type { QueryRun, SegmentTree } from './segment-tree';

/**
 * Gradients of `attentionReference` in float64, with respect to q, k and v, of the sum of o * d_o:
 * p = softmax(scale q k^T), dv = p^T d_o, ds = p * (d_o v^T - sum(p * d_o v^T)), dq = scale ds k, dk = scale ds^T q.
 * @param d_o `[rows, q_heads, head_dim]`
 * @returns dq `[rows, q_heads, head_dim]`, NaN in rows that no run names; dk and dv `[T, kv_heads, head_dim]`.
 */
export function attentionBackwardReference(
  shape: AttentionShape,
  tree: SegmentTree,
  runs: readonly QueryRun[],
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  v: ArrayLike<number>,
  d_o: ArrayLike<number>,
  scale = shape.head_dim ** -0.5,
): { dq: Float64Array; dk: Float64Array; dv: Float64Array } {
  const { q_heads, kv_heads, head_dim } = shape;
  const dq = new Float64Array(q.length).fill(Number.NaN);
  const dk = new Float64Array(k.length);
  const dv = new Float64Array(v.length);
  const dot = (a: ArrayLike<number>, at: number, b: ArrayLike<number>, from: number) => {
    let sum = 0;
    for (let d = 0; d < head_dim; d++) sum += a[at + d]! * b[from + d]!;
    return sum;
  };
  for (const run of runs) {
    for (let i = 0; i < run.count; i++) {
      const keys = visibleRanges(tree, run.segment, run.offset + i).flatMap(([start, count]) =>
        Array.from({ length: count }, (_, j) => start + j),
      );
      for (let h = 0; h < q_heads; h++) {
        const at = ((run.row + i) * q_heads + h) * head_dim;
        const kv = keys.map((key) => (key * kv_heads + Math.floor((h * kv_heads) / q_heads)) * head_dim);
        const scores = kv.map((from) => scale * dot(q, at, k, from));
        const max = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
        const weights = scores.map((score) => Math.exp(score - max));
        const sum = weights.reduce((a, b) => a + b, 0);
        const p = weights.map((weight) => weight / sum);
        const dp = kv.map((from) => dot(d_o, at, v, from));
        const delta = p.reduce((total, weight, j) => total + weight * dp[j]!, 0);
        for (let d = 0; d < head_dim; d++) dq[at + d] = 0;
        for (const [j, from] of kv.entries()) {
          const ds = scale * p[j]! * (dp[j]! - delta);
          for (let d = 0; d < head_dim; d++) {
            dq[at + d]! += ds * k[from + d]!;
            dk[from + d]! += ds * q[at + d]!;
            dv[from + d]! += p[j]! * d_o[at + d]!;
          }
        }
      }
    }
  }
  return { dq, dk, dv };
}
