import decodeCode from '../../shaders/attention/decode.wgsl?raw';
import forwardCode from '../../shaders/attention/forward.wgsl?raw';
import type { Gpu } from '../gpu/device';
import { expandWgsl } from '../gpu/expand-wgsl';
import { compileKernel, type Kernel } from '../gpu/kernel';
import type { Recorder } from '../gpu/recorder';
import { type GpuTensor, sizeOf } from '../gpu/tensor';
import { type AttentionPlan, TILE_ROWS } from './plan';
import type { AttentionShape } from './reference';
import {
  type AttentionKernels,
  type AttentionVariant,
  kernelsFor,
  prefersDecode,
  variantFor,
} from './variants';

/** Tensors of a forward attention, all f32. */
export interface AttentionTensors {
  /** `[rows, q_heads, head_dim]`. */
  q: GpuTensor;
  /** `[T, kv_heads, head_dim]`, rotated where the model rotates. */
  k: GpuTensor;
  /** `[T, kv_heads, head_dim]`. */
  v: GpuTensor;
  /** Written, `[rows, q_heads, head_dim]`. Not q. */
  o: GpuTensor;
  /**
   * Written where given, `[rows, q_heads, 4]`: the largest scaled score; the natural logarithm of the sum of
   * exp(score - largest); 0; 0. The log-sum-exp is the first plus the second: kept apart, because f32 would round it to
   * 1e-3 at scores of 1e4, and the backward pass takes its exponential.
   */
  stats?: GpuTensor;
}

export interface AttentionOptions {
  /** Which kernels are compiled; default the adapter's choice. `forward` handles every plan. */
  kernels?: AttentionKernels;
  /** Sizes of the kernels, for measurements; default the table's. */
  variant?: AttentionVariant;
}

/** Our own attention over segment trees: one object serves all layers of one shape. */
export class Attention {
  private readonly params: Float32Array<ArrayBuffer>;

  private constructor(
    readonly shape: AttentionShape,
    scale: number,
    /** Bound where nobody asks for stats; the kernels write no further than its end. */
    private readonly unwanted: GPUBuffer,
    private readonly forward: Kernel | undefined,
    private readonly decode: Kernel | undefined,
  ) {
    this.params = new Float32Array([scale, 0, 0, 0]);
  }

  /**
   * Compiles the kernels of a shape. `scale` multiplies the scores; default head_dim^-0.5.
   * @throws Error when head_dim is not a multiple of 8 up to 128, or q_heads is not a multiple of kv_heads.
   */
  static async create(
    gpu: Gpu,
    shape: AttentionShape,
    scale: number = shape.head_dim ** -0.5,
    options: AttentionOptions = {},
  ): Promise<Attention> {
    const { q_heads, kv_heads, head_dim } = shape;
    checkAttentionShape(shape);
    const cpu = gpu.adapter.isFallback;
    const { kernels = kernelsFor(cpu), variant = variantFor(shape, cpu) } = options;
    const { R, B, U, decodeR, W } = variant;
    const threads = Math.ceil((TILE_ROWS * (q_heads / kv_heads)) / R);
    const WG = Math.min(64, Math.max(16, threads));
    const common = { D: head_dim, Q_HEADS: q_heads, KV_HEADS: kv_heads };
    const [forward, decode] = await Promise.all([
      kernels === 'decode'
        ? undefined
        : compileKernel(gpu, {
            name: `attention forward d${head_dim}`,
            code: expandWgsl(forwardCode, { R, B, U }),
            constants: { ...common, R, B, U, WG },
          }),
      kernels === 'forward'
        ? undefined
        : compileKernel(gpu, {
            name: `attention decode d${head_dim}`,
            code: expandWgsl(decodeCode, { R: decodeR }),
            constants: { ...common, R: decodeR, W },
          }),
    ]);
    const unwanted = gpu.device.createBuffer({ label: 'no stats', size: 16, usage: GPUBufferUsage.STORAGE });
    return new Attention(shape, scale, unwanted, forward, decode);
  }

  /**
   * Records o = softmax(scale q k^T) v over the rows that the plan names.
   * @throws Error when a tensor is too small for the plan.
   */
  record(recorder: Recorder, plan: AttentionPlan, tensors: AttentionTensors): void {
    const { q_heads, kv_heads, head_dim } = this.shape;
    const { q, k, v, o, stats } = tensors;
    need('q', q, plan.row_count * q_heads * head_dim);
    need('o', o, plan.row_count * q_heads * head_dim);
    need('k', k, plan.kv_rows * kv_heads * head_dim);
    need('v', v, plan.kv_rows * kv_heads * head_dim);
    if (stats) need('stats', stats, 4 * plan.row_count * q_heads);
    if (plan.tile_count === 0) return;
    const kernel =
      (prefersDecode(plan.longest_run, this.shape) ? this.decode : undefined) ?? this.forward ?? this.decode;
    recorder.dispatch(
      kernel!,
      this.params,
      [plan.tiles, plan.ranges, q, k, v, o, stats ?? this.unwanted],
      [plan.tile_count, kv_heads],
    );
  }

  /** Frees what the object holds on the GPU, after the work that uses it was submitted. */
  destroy(): void {
    this.unwanted.destroy();
  }
}

/** @throws Error when head_dim is not a multiple of 8 up to 128, or q_heads is not a multiple of kv_heads. */
export function checkAttentionShape({ q_heads, kv_heads, head_dim }: AttentionShape): void {
  if (!Number.isInteger(head_dim) || head_dim < 8 || head_dim > 128 || head_dim % 8 !== 0)
    throw new Error(`Attention handles head sizes that are multiples of 8 up to 128, not ${head_dim}.`);
  if (!(kv_heads >= 1) || q_heads % kv_heads !== 0)
    throw new Error(`${q_heads} query heads cannot be shared out among ${kv_heads} KV heads.`);
}

/** @throws Error when a tensor of an attention is not f32 or has fewer elements than its plan reaches. */
export function need(name: string, tensor: GpuTensor, elements: number): void {
  if (tensor.dtype !== 'f32') throw new Error(`Attention takes f32 tensors; ${name} is ${tensor.dtype}.`);
  if (sizeOf(tensor.shape) < elements) {
    throw new Error(
      `Attention's ${name} has shape [${tensor.shape.join(', ')}], but its plan reaches ${elements} elements.`,
    );
  }
}
