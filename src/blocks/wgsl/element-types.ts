import type { Gpu } from '../../gpu/device';
import type { DType } from '../../gpu/tensor';

/** What kernels of dense arithmetic read and write; they compute in f32. */
export type FloatType = 'f32' | 'f16';

/** Whether the kernels read and write values of a type as they are. */
export function isFloat(type: DType): type is FloatType {
  return type === 'f32' || type === 'f16';
}

/** Aliases of WGSL for vec4s of the named types. */
export function vec4s(types: Readonly<Record<string, FloatType>>): Record<string, string> {
  return Object.fromEntries(Object.entries(types).map(([name, type]) => [name, `vec4<${type}>`]));
}

/**
 * Whether a kernel over these types needs f16 in shaders.
 * @throws Error where the GPU has none.
 */
export function needsF16(gpu: Gpu, types: readonly FloatType[]): boolean {
  const needs = types.includes('f16');
  if (needs && !gpu.f16)
    throw new Error(
      'Values of this graph are kept as f16, which shaders of this GPU cannot read: keep them as f32.',
    );
  return needs;
}
