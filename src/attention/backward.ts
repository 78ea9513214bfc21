import keysCode from '../../shaders/attention/backward-kv.wgsl?raw';
import queriesCode from '../../shaders/attention/backward-q.wgsl?raw';
import deltaCode from '../../shaders/attention/delta.wgsl?raw';
import type { Gpu } from '../gpu/device';
import { expandWgsl } from '../gpu/expand-wgsl';
import { compileKernel, type Kernel } from '../gpu/kernel';
import type { Recorder } from '../gpu/recorder';
import type { GpuTensor } from '../gpu/tensor';
import { checkAttentionShape, need } from './attention';
import { foldGrid } from './grid';
import { KEY_TILE_ROWS, type KeyPlan } from './key-plan';
import { type AttentionPlan, TILE_ROWS } from './plan';
import type { AttentionShape } from './reference';
import { type BackwardVariant, backwardVariantFor } from './variants';

/** Tensors of a backward attention, all f32, all distinct buffers. */
export interface AttentionGradients {
  /** As in the forward pass: `[rows, q_heads, head_dim]`. */
  q: GpuTensor;
  /** `[T, kv_heads, head_dim]`. */
  k: GpuTensor;
  /** `[T, kv_heads, head_dim]`. */
  v: GpuTensor;
  /** The forward pass's result, `[rows, q_heads, head_dim]`. */
  o: GpuTensor;
  /** `[rows, q_heads, 4]`, from the forward pass; the third value of each row is written here. */
  stats: GpuTensor;
  /** Gradient of o, `[rows, q_heads, head_dim]`. */
  d_o: GpuTensor;
  /** Written, `[rows, q_heads, head_dim]`. Rows that no run names stay as they are. */
  dq: GpuTensor;
  /** Written, `[T, kv_heads, head_dim]`: with respect to the stored, rotated keys. Rows not in use stay as they are. */
  dk: GpuTensor;
  /** Written, `[T, kv_heads, head_dim]`. */
  dv: GpuTensor;
}

/**
 * The gradients of attention over segment trees. The gradient of a shared prefix is the sum over all its children, in
 * a fixed order: the same inputs give the same bits.
 */
export class AttentionBackward {
  private readonly params: ArrayBuffer = new ArrayBuffer(16);

  private constructor(
    readonly shape: AttentionShape,
    private readonly scale: number,
    private readonly kernels: { delta: Kernel; queries: Kernel; keys: Kernel },
  ) {}

  /**
   * Compiles the kernels of a shape. `scale` as in the forward pass; `variant` for measurements.
   * @throws Error when head_dim is not a multiple of 8 up to 128, or q_heads is not a multiple of kv_heads.
   */
  static async create(
    gpu: Gpu,
    shape: AttentionShape,
    scale: number = shape.head_dim ** -0.5,
    variant: BackwardVariant = backwardVariantFor(shape, gpu.adapter.isFallback),
  ): Promise<AttentionBackward> {
    checkAttentionShape(shape);
    const { q_heads, kv_heads, head_dim } = shape;
    const { queryR, queryB, keyR, keyB } = variant;
    const common = { D: head_dim, Q_HEADS: q_heads, KV_HEADS: kv_heads };
    const queryThreads = Math.ceil((TILE_ROWS * (q_heads / kv_heads)) / queryR);
    const [delta, queries, keys] = await Promise.all([
      compileKernel(gpu, { name: 'attention delta', code: deltaCode, constants: { D: head_dim } }),
      compileKernel(gpu, {
        name: `attention backward q d${head_dim}`,
        code: expandWgsl(queriesCode, { R: queryR, B: queryB }),
        constants: { ...common, R: queryR, B: queryB, WG: Math.min(64, Math.max(16, queryThreads)) },
      }),
      compileKernel(gpu, {
        name: `attention backward kv d${head_dim}`,
        code: expandWgsl(keysCode, { R: keyR, B: keyB }),
        constants: { ...common, R: keyR, B: keyB, WG: Math.ceil(KEY_TILE_ROWS / keyR) },
      }),
    ]);
    return new AttentionBackward(shape, scale, { delta, queries, keys });
  }

  /**
   * Records dq, dk and dv of the rows of a forward pass; `plan` and `keys` are of the same tree and runs.
   * @throws Error when a tensor is too small for its plan.
   */
  record(recorder: Recorder, plan: AttentionPlan, keys: KeyPlan, tensors: AttentionGradients): void {
    const { q_heads, kv_heads, head_dim } = this.shape;
    const { q, k, v, o, stats, d_o, dq, dk, dv } = tensors;
    const rows = plan.row_count * q_heads;
    for (const [name, tensor] of Object.entries({ q, o, d_o, dq })) need(name, tensor, rows * head_dim);
    need('stats', stats, 4 * rows);
    for (const [name, tensor] of Object.entries({ k, v, dk, dv }))
      need(name, tensor, Math.max(plan.kv_rows, keys.kv_rows) * kv_heads * head_dim);
    const floats = new Float32Array(this.params);
    const words = new Uint32Array(this.params);
    if (plan.tile_count > 0) {
      words[0] = rows;
      recorder.dispatch(this.kernels.delta, this.params, [o, d_o, stats], foldGrid(rows, 64));
      floats[0] = this.scale;
      recorder.dispatch(
        this.kernels.queries,
        this.params,
        [plan.tiles, plan.ranges, q, k, v, d_o, stats, dq],
        [plan.tile_count, kv_heads],
      );
    }
    if (keys.tile_count === 0) return;
    floats[0] = this.scale;
    words[1] = keys.tile_count;
    recorder.dispatch(
      this.kernels.keys,
      this.params,
      [keys.work, q, k, v, d_o, stats, dk, dv],
      [keys.tile_count, kv_heads],
    );
  }
}
