import code from '../../shaders/attention/rotary-append.wgsl?raw';
import type { Gpu } from '../gpu/device';
import { compileKernel, type Kernel } from '../gpu/kernel';
import type { Binding, Recorder } from '../gpu/recorder';
import { type GpuTensor, sizeOf, uploadTensor } from '../gpu/tensor';
import { typeConstants, usesF16 } from './attention-kernel';
import { foldGrid } from './grid';
import type { AttentionPlan } from './plan';
import type { AttentionShape } from './reference';
import { type AttentionTypes, F32_TYPES } from './variants';
import { bindingLimit, windowOf, windowRows } from './windows';

/**
 * Cosines and sines of the rotary embedding, `[positions, head_dim]`: the cosines of a position's head_dim/2 angles,
 * then their sines. angle = position * theta^(-2j / head_dim), in float64, rounded to f32 at the end.
 */
export function rotaryTable(positions: number, head_dim: number, theta: number): Float32Array<ArrayBuffer> {
  const half = head_dim / 2;
  const table = new Float32Array(positions * head_dim);
  for (let j = 0; j < half; j++) {
    const frequency = theta ** ((-2 * j) / head_dim);
    for (let p = 0; p < positions; p++) {
      table[p * head_dim + j] = Math.cos(p * frequency);
      table[p * head_dim + half + j] = Math.sin(p * frequency);
    }
  }
  return table;
}

/**
 * The rotary embedding in float64 of `x` `[rows, heads, head_dim]`, pairs (d, d + head_dim/2), positions by row.
 */
export function rotaryReference(
  x: ArrayLike<number>,
  heads: number,
  head_dim: number,
  positions: readonly number[],
  theta: number,
): Float64Array {
  const out = new Float64Array(x.length);
  const half = head_dim / 2;
  for (const [row, position] of positions.entries()) {
    for (let head = 0; head < heads; head++) {
      const at = (row * heads + head) * head_dim;
      for (let j = 0; j < half; j++) {
        const angle = position * theta ** ((-2 * j) / head_dim);
        const low = x[at + j]!;
        const high = x[at + half + j]!;
        out[at + j] = low * Math.cos(angle) - high * Math.sin(angle);
        out[at + half + j] = high * Math.cos(angle) + low * Math.sin(angle);
      }
    }
  }
  return out;
}

/** Tensors of a rotary append, of the object's types, all distinct buffers. */
export interface RotaryTensors {
  /** `[rows, q_heads, head_dim]`, rotated in place. */
  q: GpuTensor;
  /** `[rows, kv_heads, head_dim]`. */
  k: GpuTensor;
  /** `[rows, kv_heads, head_dim]`. */
  v: GpuTensor;
  /** `[T, kv_heads, head_dim]`: gets k, rotated, at the rows' slots. */
  k_cache: GpuTensor;
  /** `[T, kv_heads, head_dim]`: gets v. */
  v_cache: GpuTensor;
}

/** Options of `RotaryAppend.create`. */
export interface RotaryOptions {
  theta: number;
  max_positions: number;
  /** Element types in storage: of q, k and v, and of the caches. Default f32. */
  types?: AttentionTypes;
  /** Largest binding in bytes; default the device's. Larger caches are written in windows. */
  binding_limit?: number;
}

/** Rotates q in place and appends k (rotated) and v to the KV cache, in one kernel. */
export class RotaryAppend {
  private constructor(
    readonly shape: AttentionShape,
    readonly max_positions: number,
    readonly types: AttentionTypes,
    readonly binding_limit: number,
    private readonly kernel: Kernel,
    /** `[max_positions, head_dim]`: see `rotaryTable`. */
    readonly table: GpuTensor,
  ) {}

  /** Compiles the kernel and uploads the table of `max_positions` positions (4 * head_dim bytes each). */
  static async create(gpu: Gpu, shape: AttentionShape, options: RotaryOptions): Promise<RotaryAppend> {
    const { head_dim } = shape;
    const { theta, max_positions, types = F32_TYPES } = options;
    if (head_dim % 8 !== 0)
      throw new Error(`The rotary embedding needs a head size that is a multiple of 8, not ${head_dim}.`);
    const kernel = await compileRotary(gpu, { name: 'rotary append', code, shape, types });
    const values = rotaryTable(max_positions, head_dim, theta);
    const table = uploadTensor(gpu, values, [max_positions, head_dim], 'f32', 'rotary table');
    const limit = bindingLimit(gpu, options.binding_limit);
    return new RotaryAppend(shape, max_positions, types, limit, kernel, table);
  }

  /**
   * Records the rotation of the plan's rows and their appending at the plan's slots. Rows between runs stay as they are.
   * @throws Error when a position is beyond the table, or a tensor too small for the plan.
   */
  record(recorder: Recorder, plan: AttentionPlan, tensors: RotaryTensors): void {
    const { q, k, v, k_cache, v_cache } = tensors;
    this.check(plan, tensors);
    recordRotary(recorder, plan, this, this.kernel, k_cache, (part) => [
      q,
      k,
      v,
      part(k_cache),
      part(v_cache),
    ]);
  }

  /** @throws Error when a position is beyond the table, or a tensor too small for the plan. */
  check(plan: AttentionPlan, { q, k, v, k_cache, v_cache }: RotaryTensors): void {
    checkRotary(plan, this, { q, k, v, k_cache, v_cache });
  }

  /** Frees the table. */
  destroy(): void {
    this.table.buffer.destroy();
  }
}

/** What a rotary kernel works with, forward and backward. */
export type Rotary = Pick<RotaryAppend, 'shape' | 'max_positions' | 'types' | 'binding_limit' | 'table'>;

/** Compiles a rotary kernel for a shape and types. */
export function compileRotary(
  gpu: Gpu,
  source: { name: string; code: string; shape: AttentionShape; types: AttentionTypes },
): Promise<Kernel> {
  const { name, code, shape, types } = source;
  if (usesF16(types) && !gpu.f16)
    throw new Error('A cache in f16 was asked for, and this adapter has no shader-f16: use f32.');
  const { q_heads, kv_heads, head_dim } = shape;
  return compileKernel(gpu, {
    name,
    code,
    constants: { ...typeConstants(types), D: head_dim, Q_HEADS: q_heads, KV_HEADS: kv_heads },
    f16: usesF16(types),
  });
}

/** Records a rotary kernel for the plan's rows: one dispatch, or one a window of caches larger than a binding. */
export function recordRotary(
  recorder: Recorder,
  plan: AttentionPlan,
  rotary: Rotary,
  kernel: Kernel,
  cache: GpuTensor,
  bindings: (part: (tensor: GpuTensor) => Binding) => Binding[],
): void {
  const { q_heads, kv_heads, head_dim } = rotary.shape;
  const rows = plan.row_count;
  if (rows === 0) return;
  const width = kv_heads * head_dim;
  const kv_rows = Math.floor(sizeOf(cache.shape) / width);
  const window = windowRows(cache, width, rotary.binding_limit);
  for (let start = 0; start < kv_rows; start += window ?? kv_rows) {
    const count = Math.min(window ?? kv_rows, kv_rows - start);
    recorder.dispatch(
      kernel,
      new Uint32Array([rows, rotary.max_positions, count, start]),
      [plan.rows, rotary.table, ...bindings((tensor) => windowOf(tensor, width, start, window))],
      foldGrid((rows * (q_heads + kv_heads) * head_dim) / 8, 64),
    );
  }
}

/**
 * @param tensors `q` has q_heads a row of the plan; names with `_cache` kv_heads a row of its KV storage, others
 * kv_heads a row of the plan.
 * @throws Error when a position is beyond the table, or a tensor too small for the plan.
 */
export function checkRotary(
  plan: AttentionPlan,
  rotary: Rotary,
  tensors: Readonly<Record<string, GpuTensor>>,
): void {
  const { q_heads, kv_heads, head_dim } = rotary.shape;
  if (plan.max_position >= rotary.max_positions) {
    throw new Error(
      `Position ${plan.max_position} is beyond the model's ${rotary.max_positions} positions: ` +
        'shorten the prompt or the answer.',
    );
  }
  for (const [name, tensor] of Object.entries(tensors)) {
    const heads = name.endsWith('q') ? q_heads : kv_heads;
    const cached = name.endsWith('_cache');
    const needed = (cached ? plan.kv_rows : plan.row_count) * heads * head_dim;
    const dtype = cached ? rotary.types.cache : rotary.types.rows;
    if (tensor.dtype !== dtype || sizeOf(tensor.shape) < needed) {
      throw new Error(
        `The rotary embedding's ${name} is [${tensor.shape.join(', ')}] ${tensor.dtype}; ` +
          `the plan needs ${needed} ${dtype} elements.`,
      );
    }
  }
}
