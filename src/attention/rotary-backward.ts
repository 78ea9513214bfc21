import code from '../../shaders/attention/rotary-backward.wgsl?raw';
import type { Gpu } from '../gpu/device';
import { compileKernel, type Kernel } from '../gpu/kernel';
import type { Recorder } from '../gpu/recorder';
import { type GpuTensor, sizeOf } from '../gpu/tensor';
import { foldGrid } from './grid';
import type { AttentionPlan } from './plan';
import { checkRotary, type RotaryAppend } from './rotary';

/** Tensors of the backward pass, all f32, all distinct buffers. */
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
  private readonly params = new Uint32Array(4);

  private constructor(
    private readonly rotary: RotaryAppend,
    private readonly kernel: Kernel,
  ) {}

  /** Compiles the kernel. The table stays the forward object's: destroy that one last. */
  static async create(gpu: Gpu, rotary: RotaryAppend): Promise<RotaryBackward> {
    const { q_heads, kv_heads, head_dim } = rotary.shape;
    const constants = { D: head_dim, Q_HEADS: q_heads, KV_HEADS: kv_heads };
    return new RotaryBackward(rotary, await compileKernel(gpu, { name: 'rotary backward', code, constants }));
  }

  /**
   * Records the gradients of the plan's rows. Rows between runs stay as they are.
   * @throws Error when a position is beyond the table, or a tensor too small for the plan.
   */
  record(recorder: Recorder, plan: AttentionPlan, gradients: RotaryGradients): void {
    const { q_heads, kv_heads, head_dim } = this.rotary.shape;
    const { dq, dk_cache, dv_cache, dk, dv } = gradients;
    const rows = plan.row_count;
    if (rows === 0) return;
    checkRotary(plan, this.rotary, { dq, dk_cache, dv_cache, dk, dv });
    const kvRows = Math.floor(sizeOf(dk_cache.shape) / kv_heads / head_dim);
    this.params.set([rows, this.rotary.max_positions, kvRows, 0]);
    recorder.dispatch(
      this.kernel,
      this.params,
      [plan.rows, this.rotary.table, dq, dk_cache, dv_cache, dk, dv],
      foldGrid((rows * (q_heads + kv_heads) * head_dim) / 8, 64),
    );
  }
}
