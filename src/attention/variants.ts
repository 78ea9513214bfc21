import type { AttentionShape } from './reference';

/** Sizes of the kernels of one attention. */
export interface AttentionVariant {
  /** forward: virtual rows (row and query head of a KV head) a thread. */
  R: number;
  /** forward: keys a thread takes at a time. */
  B: number;
  /** forward: how far the loop over the head is unrolled (a divisor of head_dim / 4). */
  U: number;
  /** decode: virtual rows a thread. */
  decodeR: number;
  /** decode: threads that share the keys out among them. */
  W: number;
}

/** Which kernels an attention compiles. `forward` alone and `decode` alone serve every plan. */
export type AttentionKernels = 'both' | 'forward' | 'decode';

/**
 * The one table of kernel sizes, by shape and kind of adapter.
 * - A GPU keeps the output in registers, so rows a thread are few and the loop over the head is unrolled.
 * - A CPU adapter (SwiftShader) pays for every load and for every load it compiles, so rows a thread are many and
 *   loops stay loops: unrolled, head size 32 took 4 times as long to compile and 72 took 24 s, and ran no faster.
 */
export function variantFor(shape: AttentionShape, cpu: boolean): AttentionVariant {
  const { head_dim, q_heads, kv_heads } = shape;
  const group = q_heads / kv_heads;
  if (cpu) {
    const R = group > 1 ? Math.min(4, group) : head_dim <= 32 ? 4 : 2;
    return { R, B: 4, U: 1, decodeR: Math.min(2, group), W: 16 };
  }
  const U = head_dim / 4;
  // 16 KiB of workgroup memory hold W * head_dim floats and little else.
  const W = head_dim > 56 ? 16 : 32;
  if (head_dim <= 32) return { R: 2, B: 4, U, decodeR: Math.min(4, group), W };
  return { R: 1, B: 4, U, decodeR: Math.min(2, group), W };
}

/**
 * Which kernels are worth compiling: on a CPU adapter the decode kernel's barriers made it 5 times slower than the
 * forward kernel, and 6 times slower to compile.
 */
export function kernelsFor(cpu: boolean): AttentionKernels {
  return cpu ? 'forward' : 'both';
}

/** Whether the decode kernel serves a plan better than the forward kernel: few virtual rows in every run. */
export function prefersDecode(longest_run: number, shape: AttentionShape): boolean {
  return (longest_run * shape.q_heads) / shape.kv_heads <= 16;
}

/** Sizes of the backward kernels. */
export interface BackwardVariant {
  /** dQ: virtual rows a thread, and keys it takes at a time. */
  queryR: number;
  queryB: number;
  /** dK and dV: keys a thread (a divisor of the tile of 32), and virtual rows it takes at a time. */
  keyR: number;
  keyB: number;
}

/** The table of the backward kernels: a thread keeps R (dQ) or 2 R (dK, dV) heads' worth of registers. */
export function backwardVariantFor({ head_dim }: AttentionShape, cpu: boolean): BackwardVariant {
  if (cpu) return { queryR: 2, queryB: 2, keyR: 2, keyB: 2 };
  return { queryR: head_dim <= 32 ? 2 : 1, queryB: 2, keyR: 1, keyB: 2 };
}
