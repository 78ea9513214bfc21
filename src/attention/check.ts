import type { Gpu } from '../gpu/device';
import { type DType, type GpuTensor, sizeOf } from '../gpu/tensor';
import { usesF16 } from './attention-kernel';
import type { AttentionShape } from './reference';
import type { AttentionTypes } from './variants';

/**
 * @throws Error when head_dim is not a multiple of 8 up to 128, q_heads is not a multiple of kv_heads, or f16 is asked
 * of an adapter without it.
 */
export function checkAttentionShape(
  { q_heads, kv_heads, head_dim }: AttentionShape,
  types: AttentionTypes,
  gpu: Gpu,
): void {
  if (!Number.isInteger(head_dim) || head_dim < 8 || head_dim > 128 || head_dim % 8 !== 0)
    throw new Error(`Attention handles head sizes that are multiples of 8 up to 128, not ${head_dim}.`);
  if (!(kv_heads >= 1) || q_heads % kv_heads !== 0)
    throw new Error(`${q_heads} query heads cannot be shared out among ${kv_heads} KV heads.`);
  if (usesF16(types) && !gpu.f16)
    throw new Error('Attention in f16 was asked for, and this adapter has no shader-f16: use f32.');
}

/** @throws Error when a tensor of an attention has another type or fewer elements than its plan reaches. */
export function need(name: string, tensor: GpuTensor, dtype: DType, elements: number): void {
  if (tensor.dtype !== dtype)
    throw new Error(`This attention takes ${name} as ${dtype}, not as ${tensor.dtype}.`);
  if (sizeOf(tensor.shape) < elements) {
    throw new Error(
      `Attention's ${name} has shape [${tensor.shape.join(', ')}], but its plan reaches ${elements} elements.`,
    );
  }
}
