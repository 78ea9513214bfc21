/** Uniform numbers in (0, 1) from a small generator: the same for a seed in every run. */
export function uniforms(seed: number): () => number {
  let state = (seed * 7919 + 17) % 2147483647;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

/** Values near a normal distribution of variance 1. */
export function randomValues(n: number, seed: number): Float32Array<ArrayBuffer> {
  const next = uniforms(seed);
  return Float32Array.from({ length: n }, () => (next() + next() + next() - 1.5) * 2);
}
