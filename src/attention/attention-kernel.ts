import type { Gpu } from '../gpu/device';
import { expandWgsl } from '../gpu/expand-wgsl';
import { compileKernel, type Kernel } from '../gpu/kernel';
import type { AttentionShape } from './reference';
import type { AttentionTypes } from './variants';
import type { Work, WorkBatch } from './work';

/** An attention kernel. */
export interface AttentionSource {
  name: string;
  /** WGSL with its prelude: shaders/attention/units.wgsl, or keys.wgsl. */
  code: string;
  /** Counts of `#for` loops. */
  counts?: Readonly<Record<string, number>>;
  constants?: Readonly<Record<string, number>>;
  /** Texts of `#use` lines. */
  parts?: Readonly<Record<string, string>>;
  /** Uses subgroup operations. */
  subgroups?: boolean;
}

/** Compiles a kernel for a shape and types. */
export function compileAttention(
  gpu: Gpu,
  { q_heads, kv_heads, head_dim }: AttentionShape,
  types: AttentionTypes,
  { name, code, counts = {}, constants = {}, parts = {}, subgroups = false }: AttentionSource,
): Promise<Kernel> {
  return compileKernel(gpu, {
    name: `${name} d${head_dim}`,
    code: expandWgsl(code, counts, parts),
    constants: {
      ...typeConstants(types),
      D: head_dim,
      Q_HEADS: q_heads,
      KV_HEADS: kv_heads,
      ROLLED: +gpu.adapter.isFallback,
      ...constants,
    },
    f16: usesF16(types),
    subgroups,
  });
}

/** Element types of the shaders: Q4 for rows' tensors, K4 for the KV storage. */
export function typeConstants({ rows, cache }: AttentionTypes): { Q4: string; K4: string } {
  return { Q4: `vec4<${rows}>`, K4: `vec4<${cache}>` };
}

/** Whether shaders of these types need `enable f16`. */
export function usesF16({ rows, cache }: AttentionTypes): boolean {
  return rows === 'f16' || cache === 'f16';
}

/** The uniform block of units.wgsl for one batch; `parts`: threads, or workgroups, that share a unit's rows. */
export function unitParams(
  scale: number,
  { first_unit, unit_count }: Pick<WorkBatch, 'first_unit' | 'unit_count'>,
  { members_at, ranges_at }: Work,
  parts: number,
): ArrayBuffer {
  const params = new ArrayBuffer(24);
  new Float32Array(params)[0] = scale;
  new Uint32Array(params).set([unit_count, first_unit, members_at, ranges_at, parts], 1);
  return params;
}
