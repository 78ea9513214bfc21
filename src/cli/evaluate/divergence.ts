/** log(softmax(logits)) in float64, kept as f32. */
export function logSoftmax(logits: Float32Array): Float32Array<ArrayBuffer> {
  let most = Number.NEGATIVE_INFINITY;
  for (const value of logits) most = Math.max(most, value);
  let sum = 0;
  for (const value of logits) sum += Math.exp(value - most);
  const shift = most + Math.log(sum);
  return Float32Array.from(logits, (value) => value - shift);
}

/** Kullback-Leibler divergence of two distributions given as log-probabilities: sum p (log p - log q), nats. */
export function divergence(logp: Float32Array, logq: Float32Array): number {
  let sum = 0;
  for (const [i, value] of logp.entries()) sum += Math.exp(value) * (value - logq[i]!);
  // A rounding below zero is zero.
  return Math.max(0, sum);
}
