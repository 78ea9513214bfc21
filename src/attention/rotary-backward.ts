import code from '../../shaders/attention/rotary-backward.wgsl?raw';
import type { Gpu } from '../gpu/device';
import type { Kernel } from '../gpu/kernel';
import type { Recorder } from '../gpu/recorder';
import type { GpuTensor } from '../gpu/tensor';
import type { AttentionPlan } from './plan';
import { checkRotary, compileRotary, type Rotary, recordRotary } from './rotary';

/** Tensors of the backward pass, of the forward object's types, all distinct buffers. */
export interface RotaryGradients {
  /** `[rows, q_heads, head_dim]`, with respect to the rotated q; turned back in place. */
  dq: GpuTensor;
  /** `[T, kv_heads, head_dim]`, with respect to the stored, rotated keys. */
  dk_cache: GpuTensor;
  /** `[T, kv_heads, head_dim]`. */
  dv_cache: GpuTensor;
  /** Written, `[rows, kv_heads, head_dim]`: with respect to the rows' keys before the rotation. */
  dk: GpuTensor;
  /** Written, `[rows, kv_heads, head_dim]`. */
  dv: GpuTensor;
}

/** The gradient of `RotaryAppend`, for the rows of the same plan. */
export class RotaryBackward {
  private constructor(
    private readonly rotary: Rotary,
    private readonly kernel: Kernel,
  ) {}

  /** Compiles the kernel. The table stays the forward object's: destroy that one last. */
  static async create(gpu: Gpu, rotary: Rotary): Promise<RotaryBackward> {
    const { shape, types } = rotary;
    return new RotaryBackward(
      rotary,
      await compileRotary(gpu, { name: 'rotary backward', code, shape, types }),
    );
  }

  /**
   * Records the gradients of the plan's rows. Rows between runs stay as they are.
   * @throws Error when a position is beyond the table, or a tensor too small for the plan.
   */
  record(recorder: Recorder, plan: AttentionPlan, gradients: RotaryGradients): void {
    const { dq, dk_cache, dv_cache, dk, dv } = gradients;
    checkRotary(plan, this.rotary, { dq, dk_cache, dv_cache, dk, dv });
    recordRotary(recorder, plan, this.rotary, this.kernel, dk_cache, (part) => [
      dq,
      part(dk_cache),
      part(dv_cache),
      dk,
      dv,
    ]);
  }
}
