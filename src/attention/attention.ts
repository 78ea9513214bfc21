import forwardCode from '../../shaders/attention/forward.wgsl?raw';
import tileCode from '../../shaders/attention/forward-tile.wgsl?raw';
import joinCode from '../../shaders/attention/join.wgsl?raw';
import unitsPrelude from '../../shaders/attention/units.wgsl?raw';
import type { Gpu } from '../gpu/device';
import type { Kernel } from '../gpu/kernel';
import type { Recorder } from '../gpu/recorder';
import type { Recording } from '../gpu/recording';
import { subgroupSize } from '../gpu/subgroup-size';
import { createTensor, type GpuTensor, sizeOf } from '../gpu/tensor';
import { compileAttention, unitParams } from './attention-kernel';
import { checkAttentionShape, need } from './check';
import { foldGrid } from './grid';
import type { AttentionPlan } from './plan';
import type { AttentionShape } from './reference';
import {
  type AttentionTypes,
  type AttentionVariant,
  F32_TYPES,
  layoutFor,
  partsOf,
  variantsFor,
} from './variants';
import { bindingLimit, windowOf, windowRows } from './windows';
import type { WorkBatch, WorkLayout } from './work';

/** Tensors of a forward attention, of the object's types. */
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
   * Written where given, `[rows, q_heads, 4]` f32: the largest scaled score; the natural logarithm of the sum of
   * exp(score - largest); 0; 0. The log-sum-exp is the first plus the second: kept apart, because f32 would round it to
   * 1e-3 at scores of 1e4, and the backward pass takes its exponential.
   */
  stats?: GpuTensor;
}

export interface AttentionOptions {
  /** Which kernels, and their sizes; default the first of `variantsFor` that the self-test left on. */
  variant?: AttentionVariant;
  /** Element types in storage; f16 where the adapter has it. Default f32. */
  types?: AttentionTypes;
  /** Largest binding in bytes; default the device's. A larger KV storage is read in windows. */
  binding_limit?: number;
}

/** Where results of parts wait for joining. */
interface Parts {
  o: GpuTensor;
  stats: GpuTensor;
  /** `GpuMemory.failures` before they were made; undefined once they are known to be there. */
  doubt: number | undefined;
}

interface Kernels {
  many: Kernel;
  /** For units of few rows; the same as `many` where one kernel does both. */
  few: Kernel;
  join: Kernel;
}

/** A dispatch of a pass. */
interface Use {
  kernel: Kernel;
  /** First row of the window of the storage that it sees. */
  kv_start: number;
  params: ArrayBuffer;
  grid: [number, number];
}

/**
 * Our own attention over segment trees: one object serves all layers of one shape, prompts and decode steps alike.
 * Uses of one object must be recorded in the order in which they are submitted: parts wait in buffers of its own.
 */
export class Attention {
  /** Results of parts; those that became too small or doubtful are kept, since recorded work may still name them. */
  private readonly parts: Parts[] = [];

  private constructor(
    private readonly gpu: Gpu,
    readonly shape: AttentionShape,
    private readonly scale: number,
    readonly variant: AttentionVariant,
    readonly types: AttentionTypes,
    private readonly limit: number,
    /** Bound where nobody asks for stats or no part is written; the kernels write no further than its end. */
    private readonly unwanted: GpuTensor,
    private readonly kernels: Kernels,
  ) {}

  /**
   * Compiles the kernels of a shape. `scale` multiplies the scores; default head_dim^-0.5.
   * @throws Error when head_dim is not a multiple of 8 up to 128, q_heads is not a multiple of kv_heads, or f16 is
   * asked of an adapter without it.
   */
  static async create(
    gpu: Gpu,
    shape: AttentionShape,
    scale: number = shape.head_dim ** -0.5,
    options: AttentionOptions = {},
  ): Promise<Attention> {
    const { types = F32_TYPES } = options;
    checkAttentionShape(shape, types, gpu);
    const variants = variantsFor(shape, gpu.adapter, types, subgroupSize(gpu));
    const allowed = gpu.off.has('tiles') ? variants.filter(({ kind }) => kind !== 'tiles') : variants;
    const variant = options.variant ?? allowed[0]!;
    const W = gpu.adapter.isFallback ? shape.head_dim / 4 : 1;
    const [forward, join] = await Promise.all([
      compileForward(gpu, shape, types, variant),
      compileAttention(gpu, shape, types, {
        name: 'attention join',
        code: `${unitsPrelude}\n${joinCode}`,
        constants: { W },
      }),
    ]);
    const unwanted = createTensor(gpu, [4], 'f32', 'no stats');
    const limit = bindingLimit(gpu, options.binding_limit);
    return new Attention(gpu, shape, scale, variant, types, limit, unwanted, { ...forward, join });
  }

  /**
   * Records o = softmax(scale q k^T) v over the rows that the plan names. Captured (`Recorder.capture`), it is a step
   * of any plan with the same `layoutOf`: `update` says what else differs.
   * @throws Error when a tensor is too small for the plan.
   */
  record(recorder: Recorder, plan: AttentionPlan, tensors: AttentionTensors): void {
    this.check(plan, tensors);
    const { kv_heads, head_dim } = this.shape;
    const { q, k, v, o, stats = this.unwanted } = tensors;
    const { buffer, parts, window_rows, uses } = this.issue(plan, k);
    const width = kv_heads * head_dim;
    for (const [slot, { kernel, kv_start, params, grid }] of uses.entries()) {
      const bindings =
        kernel === this.kernels.join
          ? [buffer, parts.o, parts.stats, o, stats]
          : [
              buffer,
              q,
              windowOf(k, width, kv_start, window_rows),
              windowOf(v, width, kv_start, window_rows),
              o,
              stats,
              parts.o,
              parts.stats,
            ];
      recorder.dispatch(kernel, params, bindings, grid, slot);
    }
  }

  /** @throws Error when a tensor is too small for the plan. */
  check(plan: AttentionPlan, { q, k, v, o, stats }: AttentionTensors): void {
    const { q_heads, kv_heads, head_dim } = this.shape;
    const { rows, cache } = this.types;
    need('q', q, rows, plan.row_count * q_heads * head_dim);
    need('o', o, rows, plan.row_count * q_heads * head_dim);
    need('k', k, cache, plan.kv_rows * kv_heads * head_dim);
    need('v', v, cache, plan.kv_rows * kv_heads * head_dim);
    if (stats) need('stats', stats, 'f32', 4 * plan.row_count * q_heads);
  }

  /**
   * What a captured `record` over the storage `k` cannot change: buffers and kernels. Two plans whose lists have equal
   * elements can share one.
   */
  layoutOf(plan: AttentionPlan, k: GpuTensor): readonly unknown[] {
    const { buffer, parts, uses } = this.issue(plan, k);
    return [buffer, parts.o.buffer, ...uses.flatMap(({ kernel, kv_start }) => [kernel, kv_start])];
  }

  /** Makes a captured `record` over the storage `k` one of this plan. */
  update(recording: Recording, plan: AttentionPlan, k: GpuTensor): void {
    for (const [slot, { params, grid }] of this.issue(plan, k).uses.entries())
      recording.set(slot, params, grid);
  }

  /**
   * Bytes of keys and values that the units of a pass read, and the least that it could be: each segment once for all
   * sequences below it. A unit counts once: its threads read the same keys at the same time, and its tiles one after the
   * other from the cache.
   */
  kvBytes(plan: AttentionPlan): { read: number; ideal: number } {
    const { kv_heads, head_dim } = this.shape;
    const row = 2 * kv_heads * head_dim * (this.types.cache === 'f16' ? 2 : 4);
    const work = plan.workFor(layoutFor(this.variant, this.shape));
    return { read: work.kv_rows_read * row, ideal: plan.ideal_kv_rows * row };
  }

  /** Frees what the object holds on the GPU, after the work that uses it was submitted. */
  destroy(): void {
    this.unwanted.buffer.destroy();
    for (const { o, stats } of this.parts.splice(0)) {
      o.buffer.destroy();
      stats.buffer.destroy();
    }
  }

  private partsFor(count: number): Parts {
    const { q_heads, head_dim } = this.shape;
    const { memory } = this.gpu;
    const width = q_heads * head_dim;
    const last = this.parts.at(-1);
    // Those that may be what there was no room for are not used again.
    const doubtful = last?.doubt !== undefined && last.doubt !== memory.failures;
    if (last && !doubtful) {
      if (!memory.inDoubt) last.doubt = undefined;
      if (sizeOf(last.o.shape) >= count * width) return last;
    }
    // A step's parts grow with its sequences: room for twice as many spares most allocations.
    const room = 2 * Math.max(1, count);
    const doubt = memory.failures;
    const parts = {
      o: createTensor(this.gpu, [room, width], 'f32', 'attention parts'),
      stats: createTensor(this.gpu, [room, q_heads, 2], 'f32', 'stats of attention parts'),
      doubt,
    };
    this.parts.push(parts);
    return parts;
  }

  /** The dispatches of a pass over the storage `k`. */
  private issue(plan: AttentionPlan, k: GpuTensor) {
    const layout = this.layout(k);
    const work = plan.workFor(layout);
    const { many, few, join } = this.kernels;
    const uses: Use[] = work.batches.map((batch) => ({
      kernel: batch.few ? few : many,
      kv_start: batch.kv_start,
      params: unitParams(this.scale, batch, work, this.partsOf(batch)),
      grid: this.grid(batch),
    }));
    const { join_count, joins_at } = work;
    if (join_count > 0) {
      const { q_heads, head_dim } = this.shape;
      const threads = join_count * q_heads * (this.gpu.adapter.isFallback ? 1 : head_dim / 4);
      const params = unitParams(0, { first_unit: joins_at, unit_count: join_count }, work, 1);
      uses.push({ kernel: join, kv_start: 0, params, grid: foldGrid(threads, 64) });
    }
    const parts = this.partsFor(work.partial_count);
    return { buffer: work.buffer, parts, window_rows: layout.window_rows, uses };
  }

  private layout(k: GpuTensor): WorkLayout {
    const { kv_heads, head_dim } = this.shape;
    const layout = layoutFor(this.variant, this.shape);
    const window_rows = windowRows(k, kv_heads * head_dim, this.limit);
    return window_rows === undefined ? layout : { ...layout, window_rows };
  }

  private grid(batch: WorkBatch): [number, number] {
    const { variant, shape } = this;
    if (variant.kind === 'tiles') return [batch.unit_count, shape.kv_heads];
    return foldGrid(batch.unit_count * shape.kv_heads * this.partsOf(batch), variant.WG);
  }

  /** Threads of a unit; a tile is one workgroup's. */
  private partsOf({ rows }: WorkBatch): number {
    return this.variant.kind === 'tiles' ? 1 : partsOf(this.variant.R, this.shape, rows);
  }
}

async function compileForward(
  gpu: Gpu,
  shape: AttentionShape,
  types: AttentionTypes,
  variant: AttentionVariant,
): Promise<Pick<Kernels, 'many' | 'few'>> {
  if (variant.kind === 'threads') {
    const { R, B, U, WG } = variant;
    const many = await compileAttention(gpu, shape, types, {
      name: 'attention forward',
      code: `${unitsPrelude}\n${forwardCode}`,
      counts: { R, B, U },
      constants: { R, B, U, WG },
    });
    return { many, few: many };
  }
  const { LANES, BK, ROWS, FEW, subgroups } = variant;
  const CPT = Math.ceil(shape.head_dim / 4 / LANES);
  const compile = (rows: number) =>
    compileAttention(gpu, shape, types, {
      name: `attention forward, tiles of ${rows}`,
      code: `${unitsPrelude}\n${tileCode}`,
      counts: { BK, CPT, SUBGROUP: +subgroups, BARRIER: +!subgroups },
      constants: { ROWS: rows, LANES, BK, CPT },
      subgroups,
    });
  // The same text is compiled once.
  const [many, few] = await Promise.all([compile(ROWS), compile(FEW)]);
  return { many, few };
}
