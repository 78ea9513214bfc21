/** Upper 32 bits of a product of two 32-bit numbers. */
function highProduct(a: number, b: number): number {
  const low = (a & 0xffff) * (b & 0xffff);
  const middle = (a >>> 16) * (b & 0xffff) + Math.floor(low / 65536);
  const other = (a & 0xffff) * (b >>> 16) + (middle % 65536);
  return ((a >>> 16) * (b >>> 16) + Math.floor(middle / 65536) + Math.floor(other / 65536)) >>> 0;
}

/**
 * Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): four random words from a
 * counter of four and a key of two. A value depends on nothing else, so any one can be had at any time, in any order,
 * on either side; shaders/sampling/sample.wgsl has the same function.
 */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [x0, x1, x2, x3] = counter.map((x) => x >>> 0) as [number, number, number, number];
  let k0 = key[0] >>> 0;
  let k1 = key[1] >>> 0;
  for (let round = 0; round < 10; round++) {
    const high0 = highProduct(0xd2511f53, x0);
    const low0 = Math.imul(0xd2511f53, x0) >>> 0;
    const high1 = highProduct(0xcd9e8d57, x2);
    const low1 = Math.imul(0xcd9e8d57, x2) >>> 0;
    x0 = (high1 ^ x1 ^ k0) >>> 0;
    x1 = low1;
    x2 = (high0 ^ x3 ^ k1) >>> 0;
    x3 = low0;
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [x0, x1, x2, x3];
}

/** What a sampled token's random number depends on. All are taken as whole numbers below 2^32, the seed below 2^53. */
export interface SampleCounter {
  seed: number;
  /** Which question of a run. */
  question: number;
  /** Which answer of its group. */
  sample: number;
  /** Which token of the answer. */
  position: number;
}

/** A seed as the two words of a key: the low 32 bits and the rest. */
export function seedWords(seed: number): [number, number] {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new Error(`A seed must be a whole number from 0 to 2^53 - 1, not ${seed}.`);
  return [seed % 2 ** 32, Math.floor(seed / 2 ** 32)];
}

/**
 * The uniform number in [0, 1), a multiple of 2^-24, by which a token is chosen:
 * the upper 24 bits of the first word of philox((question, sample, position, 0), seed).
 */
export function sampleUniform(counter: SampleCounter): number {
  const { seed, question, sample, position } = counter;
  return (philox([question, sample, position, 0], seedWords(seed))[0] >>> 8) / 2 ** 24;
}

/**
 * `count` uniform numbers in [0, 1), multiples of 2^-24: four from each philox((i, stream, 0, 1), seed). The last word
 * keeps them apart from the numbers of `sampleUniform`.
 */
export function randomUniforms(seed: number, stream: number, count: number): Float64Array {
  const key = seedWords(seed);
  const out = new Float64Array(count);
  for (let i = 0; i < count; i += 4) {
    const words = philox([i / 4, stream, 0, 1], key);
    for (let j = 0; j < 4 && i + j < count; j++) out[i + j] = (words[j]! >>> 8) / 2 ** 24;
  }
  return out;
}

/** `count` standard-normal numbers, from `randomUniforms` by Box and Muller. */
export function randomNormals(seed: number, stream: number, count: number): Float64Array {
  const uniforms = randomUniforms(seed, stream, 2 * count);
  return Float64Array.from({ length: count }, (_, i) => {
    const radius = Math.sqrt(-2 * Math.log(1 - uniforms[2 * i]!));
    return radius * Math.cos(2 * Math.PI * uniforms[2 * i + 1]!);
  });
}
