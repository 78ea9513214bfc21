import deltaCode from '../../shaders/attention/delta.wgsl?raw';
import type { Gpu } from '../gpu/device';
import { compileKernel, type Kernel } from '../gpu/kernel';
import type { Recorder } from '../gpu/recorder';
import { subgroupsOfFour } from '../gpu/subgroup-size';
import type { GpuTensor } from '../gpu/tensor';
import { typeConstants, unitParams, usesF16 } from './attention-kernel';
import { compileBackward, rowsAtOnce, tileParts } from './backward-kernels';
import { checkAttentionShape, need } from './check';
import { foldGrid } from './grid';
import type { KeyPlan } from './key-plan';
import type { AttentionPlan } from './plan';
import type { AttentionShape } from './reference';
import {
  type AttentionTypes,
  type BackwardVariant,
  backwardVariantsFor,
  F32_TYPES,
  partsOf,
} from './variants';
import { bindingLimit, windowOf, windowRows } from './windows';
import type { WorkBatch, WorkLayout } from './work';

/** Tensors of a backward attention, of the object's types, all distinct buffers. */
export interface AttentionGradients {
  /** As in the forward pass: `[rows, q_heads, head_dim]`. */
  q: GpuTensor;
  /** `[T, kv_heads, head_dim]`. */
  k: GpuTensor;
  /** `[T, kv_heads, head_dim]`. */
  v: GpuTensor;
  /** The forward pass's result, `[rows, q_heads, head_dim]`. */
  o: GpuTensor;
  /** `[rows, q_heads, 4]` f32, from the forward pass; the third value of each row is written here. */
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

export interface BackwardOptions {
  /** Sizes of the kernels; default the table's. */
  variant?: BackwardVariant;
  /** Element types in storage; gradients have those of their values. Default f32. */
  types?: AttentionTypes;
  /** Largest binding in bytes; default the device's. */
  binding_limit?: number;
}

/**
 * The gradients of attention over segment trees. The gradient of a shared prefix is the sum over all its children, in
 * a fixed order: the same inputs give the same bits.
 */
export class AttentionBackward {
  private constructor(
    readonly shape: AttentionShape,
    private readonly scale: number,
    readonly types: AttentionTypes,
    private readonly variant: BackwardVariant,
    private readonly limit: number,
    private readonly kernels: { delta: Kernel; queries: Kernel; keys: Kernel },
  ) {}

  /**
   * Compiles the kernels of a shape. `scale` as in the forward pass.
   * @throws Error as `Attention.create`.
   */
  static async create(
    gpu: Gpu,
    shape: AttentionShape,
    scale: number = shape.head_dim ** -0.5,
    options: BackwardOptions = {},
  ): Promise<AttentionBackward> {
    const { types = F32_TYPES } = options;
    const variants = backwardVariantsFor(shape, gpu.adapter, subgroupsOfFour(gpu));
    const allowed = gpu.off.has('tiles') ? variants.filter(({ kind }) => kind !== 'tiles') : variants;
    const variant = options.variant ?? allowed[0]!;
    checkAttentionShape(shape, types, gpu);
    const [delta, sides] = await Promise.all([
      compileKernel(gpu, {
        name: 'attention delta',
        code: deltaCode,
        constants: { Q4: typeConstants(types).Q4, D: shape.head_dim },
        f16: usesF16(types),
      }),
      compileBackward(gpu, shape, types, variant),
    ]);
    const limit = bindingLimit(gpu, options.binding_limit);
    return new AttentionBackward(shape, scale, types, variant, limit, { delta, ...sides });
  }

  /**
   * Records dq, dk and dv of the rows of a forward pass; `plan` and `keys` are of the same tree and runs.
   * @throws Error when a tensor is too small for its plan.
   */
  record(recorder: Recorder, plan: AttentionPlan, keys: KeyPlan, tensors: AttentionGradients): void {
    const { q_heads, kv_heads, head_dim } = this.shape;
    const { q, k, v, o, stats, d_o, dq, dk, dv } = tensors;
    const rows = plan.row_count * q_heads;
    for (const [name, tensor] of Object.entries({ q, o, d_o, dq }))
      need(name, tensor, this.types.rows, rows * head_dim);
    need('stats', stats, 'f32', 4 * rows);
    for (const [name, tensor] of Object.entries({ k, v, dk, dv }))
      need(name, tensor, this.types.cache, Math.max(plan.kv_rows, keys.kv_rows) * kv_heads * head_dim);
    const width = kv_heads * head_dim;
    const window_rows = windowRows(k, width, this.limit);
    const part = (tensor: GpuTensor, start: number) => windowOf(tensor, width, start, window_rows);
    const work = plan.workFor(this.layout(window_rows));
    if (work.batches.length > 0) {
      const count = new Uint32Array([rows]);
      recorder.dispatch(this.kernels.delta, count, [o, d_o, stats], foldGrid(rows, 64));
    }
    for (const batch of work.batches) {
      recorder.dispatch(
        this.kernels.queries,
        unitParams(this.scale, batch, work, this.partsOf(batch)),
        [work.buffer, q, part(k, batch.kv_start), part(v, batch.kv_start), d_o, stats, dq],
        this.queriesGrid(batch),
      );
    }
    const list = keys.workFor(window_rows);
    for (const { first_tile, tile_count, kv_start } of list.batches) {
      const params = new ArrayBuffer(16);
      new Float32Array(params)[0] = this.scale;
      new Uint32Array(params).set([list.tile_count, first_tile], 1);
      const [kPart, vPart, dkPart, dvPart] = [k, v, dk, dv].map((tensor) => part(tensor, kv_start));
      recorder.dispatch(
        this.kernels.keys,
        params,
        [list.buffer, q, kPart!, vPart!, d_o, stats, dkPart!, dvPart!],
        [tile_count * tileParts(this.variant), kv_heads],
      );
    }
  }

  private partsOf({ rows }: WorkBatch): number {
    return partsOf(rowsAtOnce(this.variant), this.shape, rows);
  }

  private queriesGrid(batch: WorkBatch): [number, number] {
    const { variant, shape } = this;
    const units = batch.unit_count * this.partsOf(batch);
    if (variant.kind === 'tiles') return [units, shape.kv_heads];
    return foldGrid(units * shape.kv_heads, variant.kind === 'quads' ? 1 : variant.WG);
  }

  private layout(window_rows: number | undefined): WorkLayout {
    const { q_heads, kv_heads } = this.shape;
    const rows = Math.max(1, Math.floor((rowsAtOnce(this.variant) * kv_heads) / q_heads));
    return {
      rows,
      shared_rows: rows,
      units: 1,
      min_keys: 1,
      few_rows: 0,
      whole_rows: true,
      ...(window_rows === undefined ? {} : { window_rows }),
    };
  }
}
