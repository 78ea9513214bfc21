import type { AttentionShape } from '../attention/reference';

/** One attention to be measured. */
export interface AttentionSpec {
  /**
   * `decode`: the last row of every child. `prefill` and `backward`: all rows of the children; without children, all
   * rows of the prefix.
   */
  kernel: 'decode' | 'prefill' | 'backward';
  shape: AttentionShape;
  /** Rows of the prefix. */
  prefix: number;
  /** Children under the prefix; 0: the prefix alone. */
  children: number;
  /** Rows of each child. */
  suffix: number;
  /** False: every row sees all of its segment. */
  causal: boolean;
  /** Element type of keys and values; queries and results are f32. */
  dtype: 'f32' | 'f16';
}

/** The published language model's heads, SigLIP's, and the toy model's. */
const QWEN: AttentionShape = { q_heads: 16, kv_heads: 2, head_dim: 128 };
const SIGLIP: AttentionShape = { q_heads: 16, kv_heads: 16, head_dim: 72 };
const TOY: AttentionShape = { q_heads: 4, kv_heads: 2, head_dim: 32 };

function decode(shape: AttentionShape, prefix: number, children: number, suffix: number): AttentionSpec {
  return { kernel: 'decode', shape, prefix, children, suffix, causal: true, dtype: 'f32' };
}

function rows(
  kernel: 'prefill' | 'backward',
  shape: AttentionShape,
  prefix: number,
  children = 0,
  suffix = 0,
  causal = true,
): AttentionSpec {
  return { kernel, shape, prefix, children, suffix, causal, dtype: 'f32' };
}

/** The shapes of the published model, for a GPU. */
export const MODEL_ATTENTION: readonly AttentionSpec[] = [
  ...[700, 2000, 16384].flatMap((prefix) =>
    [1, 4, 8, 16].map((children) => decode(QWEN, prefix, children, 256)),
  ),
  decode(QWEN, 700, 8, 1),
  decode(QWEN, 700, 8, 512),
  rows('prefill', QWEN, 700),
  rows('prefill', QWEN, 2000),
  rows('prefill', QWEN, 16384),
  ...[4, 8, 16].map((children) => rows('prefill', QWEN, 700, children, 256)),
  rows('prefill', QWEN, 2000, 8, 512),
  rows('prefill', SIGLIP, 729, 0, 0, false),
  rows('backward', QWEN, 700),
  ...[4, 8, 16].map((children) => rows('backward', QWEN, 700, children, 256)),
  rows('backward', QWEN, 2000, 8, 512),
];

/** Smaller ones, which a CPU adapter takes a few minutes for: the same heads, and the toy model's own sizes. */
export const SMALL_ATTENTION: readonly AttentionSpec[] = [
  ...[1, 4, 8].map((children) => decode(QWEN, 256, children, 32)),
  decode(TOY, 512, 8, 64),
  rows('prefill', QWEN, 64),
  rows('prefill', QWEN, 64, 4, 16),
  rows('prefill', SIGLIP, 81, 0, 0, false),
  rows('prefill', TOY, 256),
  rows('prefill', TOY, 128, 8, 48),
  rows('backward', QWEN, 64, 4, 16),
  rows('backward', TOY, 256),
  rows('backward', TOY, 128, 8, 48),
];

/** The specs of a list, and where shaders have f16 the same with keys and values in halves. */
export function attentionSpecs(shapes: 'model' | 'small', f16: boolean): AttentionSpec[] {
  const list = shapes === 'model' ? MODEL_ATTENTION : SMALL_ATTENTION;
  return [...list, ...(f16 ? list.map((spec) => ({ ...spec, dtype: 'f16' as const })) : [])];
}

/** A spec in words, for tables and JSON: "P=700 G=8 R=128 Hq=16 Hkv=2 D=128". */
export function describeAttention({ shape, prefix, children, suffix, causal }: AttentionSpec): string {
  const heads = `Hq=${shape.q_heads} Hkv=${shape.kv_heads} D=${shape.head_dim}`;
  if (children === 0) return `T=${prefix} ${causal ? 'causal' : 'full'} ${heads}`;
  return `P=${prefix} G=${children} R=${suffix} ${heads}`;
}
