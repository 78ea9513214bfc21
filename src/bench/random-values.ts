/**
 * `count` reproducible f32 values in [-1, 1), by a 32-bit xorshift (Marsaglia, "Xorshift RNGs", 2003): fast enough for
 * the millions that a large shape takes.
 */
export function randomValues(seed: number, count: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(count);
  let state = (seed * 0x9e3779b9) >>> 0 || 1;
  for (let i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    out[i] = state / 2 ** 31;
  }
  return out;
}
