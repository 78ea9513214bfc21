import octetCode from '../../shaders/linear/weight-octet.wgsl?raw';
import { expandWgsl } from './expand-wgsl';
import type { DType } from './tensor';

/** Types of weights that kernels unpack as they read them. */
export type PackedDType = 'q4' | 'q8' | 'f16';

/** Whether a tensor of that type is packed. */
export function isPacked(dtype: DType): dtype is PackedDType {
  return dtype === 'q4' || dtype === 'q8' || dtype === 'f16';
}

/**
 * A kernel that reads a packed weight through `octet` of shaders/linear/weight-octet.wgsl, for one type.
 * @param scales the binding that has the scales (not of f16).
 * @param counts further loop counts of the kernel.
 */
export function packedKernel(
  code: string,
  dtype: PackedDType,
  scales: number,
  counts: Readonly<Record<string, number>> = {},
): { code: string; constants: Record<string, number> } {
  const types = { Q4: +(dtype === 'q4'), Q8: +(dtype === 'q8'), H16: +(dtype === 'f16') };
  return { code: expandWgsl(octetCode + code, { ...types, ...counts }), constants: { SCALES: scales } };
}
