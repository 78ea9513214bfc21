import unitsCode from '../../shaders/attention/units.wgsl?raw';
import type { Gpu } from '../gpu/device';
import { expandWgsl } from '../gpu/expand-wgsl';
import { compileKernel, type Kernel } from '../gpu/kernel';
import type { AttentionShape } from './reference';
import type { AttentionTypes } from './variants';
import type { Work, WorkBatch } from './work';

/** A kernel over units. */
export interface UnitSource {
  name: string;
  /** WGSL that follows shaders/attention/units.wgsl. */
  code: string;
  /** Counts of `#for` loops. */
  counts?: Readonly<Record<string, number>>;
  constants?: Readonly<Record<string, number>>;
  /** Uses subgroup operations. */
  subgroups?: boolean;
}

/** Compiles a kernel over units for a shape and types. */
export function compileUnits(
  gpu: Gpu,
  shape: AttentionShape,
  types: AttentionTypes,
  { name, code, counts = {}, constants = {}, subgroups = false }: UnitSource,
): Promise<Kernel> {
  const { q_heads, kv_heads, head_dim } = shape;
  return compileKernel(gpu, {
    name: `${name} d${head_dim}`,
    code: `${unitsCode}\n${expandWgsl(code, counts)}`,
    constants: {
      ...typeConstants(types),
      D: head_dim,
      Q_HEADS: q_heads,
      KV_HEADS: kv_heads,
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

/** The uniform block of units.wgsl for one batch. */
export function unitParams(
  scale: number,
  { first_unit, unit_count }: Pick<WorkBatch, 'first_unit' | 'unit_count'>,
  { members_at, ranges_at }: Work,
): ArrayBuffer {
  const params = new ArrayBuffer(20);
  new Float32Array(params)[0] = scale;
  new Uint32Array(params).set([unit_count, first_unit, members_at, ranges_at], 1);
  return params;
}
