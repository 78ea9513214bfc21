/** Values of a pattern, 2 bytes each. */
const PATTERN = 2 ** 16;
/** As the published model was initialised. */
const DEVIATION = 0.02;

const patterns = new Map<number, Uint32Array<ArrayBuffer>>();

/**
 * Bytes `[start, end)` of a tensor of BF16 values: normal with a deviation of 0.02, and 1 for the weights of norms. The
 * same bytes for the same seed, tensor and range, however they are cut; a gigabyte takes some seconds.
 * @param tensor its number in the checkpoint.
 */
export function syntheticValues(
  seed: number,
  tensor: number,
  name: string,
  start: number,
  end: number,
): Uint8Array<ArrayBuffer> {
  const first = Math.floor(start / 4);
  const words = new Uint32Array(Math.ceil(end / 4) - first);
  if (/norm\w*\.weight$|\.norm_?\w*\.weight$/.test(name)) words.fill(0x3f803f80);
  else {
    const pattern = patternOf(seed);
    const mask = PATTERN / 2 - 1;
    for (let i = 0; i < words.length; i++) {
      const at = first + i;
      // Low bits of the mantissas differ from one repetition of the pattern to the next.
      const other = Math.imul(tensor + 1 + 977 * (at >>> 15), 0x9e3779b1);
      words[i] = pattern[(at + (other >>> 16)) & mask]! ^ (other & 0x001f001f);
    }
  }
  const offset = start - 4 * first;
  return new Uint8Array(words.buffer, offset, end - start);
}

/** Pairs of normal values in BF16. */
function patternOf(seed: number): Uint32Array<ArrayBuffer> {
  let pattern = patterns.get(seed);
  if (pattern) return pattern;
  // Mulberry32.
  let state = seed;
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
  const values = Float32Array.from({ length: PATTERN }, () => {
    const radius = Math.sqrt(-2 * Math.log(uniform()));
    return DEVIATION * radius * Math.cos(2 * Math.PI * uniform());
  });
  const bits = new Uint32Array(values.buffer);
  pattern = Uint32Array.from(
    { length: PATTERN / 2 },
    (_, i) => ((bits[2 * i + 1]! >>> 16) << 16) | (bits[2 * i]! >>> 16),
  );
  patterns.set(seed, pattern);
  return pattern;
}
