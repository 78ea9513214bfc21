import linearCode from '../../../shaders/linear/linear.wgsl?raw';
import linearRowCode from '../../../shaders/linear/linear-row.wgsl?raw';
import linearTiledCode from '../../../shaders/linear/linear-tiled.wgsl?raw';
import linearUntransposedCode from '../../../shaders/linear/linear-untransposed.wgsl?raw';
import weightGradCode from '../../../shaders/linear/weight-grad.wgsl?raw';
import type { Gpu } from '../../gpu/device';
import { expandWgsl } from '../../gpu/expand-wgsl';
import { compileKernel, type Kernel } from '../../gpu/kernel';
import type { Recorder } from '../../gpu/recorder';
import { type GpuTensor, sizeOf } from '../../gpu/tensor';
import { type RegisterTile, type Tiles, tilesFor } from './tiles';

/** What is added to a product: nothing, a bias `[columns]`, or a residual `[rows, columns]`. */
export type Addend = 'none' | 'bias' | 'residual';

/** A product as far as it is known before it runs. */
export type ProductForm = LinearForm | WeightGradForm;

/** y = alpha x0 W0^T (+ x1 W1^T) + c, a linear layer, or without the transposes its gradient for its input. */
export interface LinearForm {
  kind: 'linear' | 'untransposed';
  /** 2 for a layer with its LoRA term, or the gradient through both. */
  terms: 1 | 2;
  addend: Addend;
  /** Columns of the result. */
  columns: number;
  /** Of 'untransposed': whether all weights have a multiple of 4 rows. */
  wide: boolean;
}

/** y = alpha a^T b + c: the gradient of a weight. */
export interface WeightGradForm {
  kind: 'weight-grad';
  addend: 'none' | 'residual';
}

/** The operands of a product. */
export interface ProductOperands {
  /** `[rows, inner]` each; of a weight's gradient one `[rows, N]`. */
  x: readonly GpuTensor[];
  /** `[columns, inner]` each, untransposed `[inner, columns]`; of a weight's gradient one `[rows, K]`. */
  w: readonly GpuTensor[];
  c: GpuTensor | undefined;
  /** `[rows, columns]`; of a weight's gradient `[N, K]`. */
  y: GpuTensor;
  alpha: number;
}

/** A kernel of a form: what it is compiled from, and what it makes in a workgroup. */
interface Variant {
  name: string;
  code: string;
  /** Counts of expandWgsl and constants. */
  counts: Readonly<Record<string, number>>;
  subgroups: boolean;
  /** Columns and rows of a workgroup. */
  group: readonly [number, number];
  /** Values of one step of the uniform block's counts: columns, inner channels. */
  units: readonly [number, number];
}

/** A thread's vec4s on either side of a weight's gradient. */
const GRAD_TILE = 2;
const TYPES = {
  f32: { X4: 'vec4<f32>', W4: 'vec4<f32>', C4: 'vec4<f32>', Y4: 'vec4<f32>', C: 'f32', Y: 'f32' },
} as const;

/** The matrix products of the blocks in f32; rows of weights and of results are multiples of 4 values. */
export class ProductKernels {
  private readonly compiled = new Map<string, Kernel>();
  private readonly tiles: Tiles;
  private readonly swapping: boolean;

  constructor(private readonly gpu: Gpu) {
    this.tiles = tilesFor(gpu);
    this.swapping = gpu.subgroups && !gpu.off.has('subgroups') && (gpu.adapter.subgroupMinSize ?? 0) >= 4;
  }

  /** Compiles what a form needs at any number of rows; what is there already costs nothing. */
  async prepare(form: ProductForm): Promise<void> {
    const variants = new Map(this.variants(form).map((variant) => [variant.name, variant]));
    await Promise.all(
      [...variants.values()].map(async ({ name, code, counts, subgroups }) => {
        if (this.compiled.has(name)) return;
        const x = counts.ANY ? 'f32' : 'vec4<f32>';
        const constants = { ...counts, ...TYPES.f32, X: x };
        this.compiled.set(
          name,
          await compileKernel(this.gpu, { name, code: expandWgsl(code, counts), constants, subgroups }),
        );
      }),
    );
  }

  /** Records a product of a form that was prepared. */
  record(recorder: Recorder, form: ProductForm, { x, w, c, y, alpha }: ProductOperands): void {
    const forward = form.kind === 'linear';
    const grad = form.kind === 'weight-grad';
    const inner = grad ? [x[0]!.shape[1]!] : w.map(({ shape }) => shape[forward ? 1 : 0]!);
    const columns = w[0]!.shape[forward ? 0 : 1]!;
    const rows = sizeOf(x[0]!.shape) / inner[0]!;
    for (const width of forward ? inner : grad ? [columns, inner[0]!] : [columns]) {
      if (width % 4 !== 0)
        throw new Error(`The WGSL blocks need a row of a multiple of 4 values, not ${width}.`);
    }
    const { name, group, units } =
      form.kind === 'weight-grad'
        ? this.weightGrad(form, inner[0]! <= columns ? 'a' : 'b')
        : this.linear(form, rows);
    const kernel = this.compiled.get(name);
    if (!kernel) throw new Error(`The kernel ${name} was not prepared.`);
    const params = new DataView(new ArrayBuffer(20));
    const counts = [rows, columns / units[0], inner[0]! / units[1], (inner[1] ?? 0) / units[1]];
    for (const [i, value] of counts.entries()) params.setUint32(4 * i, value, true);
    params.setFloat32(16, alpha, true);
    const bindings = [...x.flatMap((tensor, i) => [tensor, w[i]!]), y, ...(c ? [c] : [])];
    const down = grad ? inner[0]! : rows;
    recorder.dispatch(kernel, params, bindings, [Math.ceil(columns / group[0]), Math.ceil(down / group[1])]);
  }

  /** All kernels that a form may need. */
  private variants(form: ProductForm): Variant[] {
    if (form.kind === 'weight-grad') return [this.weightGrad(form, 'a'), this.weightGrad(form, 'b')];
    return [this.linear(form, 1), this.linear(form, this.tiles.few + 1)];
  }

  /** The kernel that runs a form at a number of rows. */
  private linear(form: LinearForm, rows: number): Variant {
    const { few, lanes, small, large, narrow } = this.tiles;
    const counts = { TERMS: form.terms, ...addendCounts(form.addend) };
    const words: (string | number)[] = [form.kind, form.terms, form.addend];
    const width = form.wide ? { WIDE: 1, ANY: 0 } : { WIDE: 0, ANY: 1 };
    if (form.kind === 'untransposed') words.push(form.wide ? 'wide' : 'any');
    if (lanes === undefined) {
      const tile = rows <= few || form.columns <= narrow ? small : large;
      return this.registers(form, tile, words, { ...counts, ...(form.kind === 'linear' ? {} : width) });
    }
    if (form.kind === 'linear' && rows <= few) {
      const columns = 64 / lanes;
      return {
        name: ['row', ...words].join(' '),
        code: linearRowCode,
        counts: { ...counts, ROWS: 1, BARRIER: 1, SUBGROUP: 0, LANES: lanes, COLUMNS: columns },
        subgroups: false,
        group: [columns, 1],
        units: [1, 4],
      };
    }
    const forward = +(form.kind === 'linear');
    const sides = { FORWARD: forward, BACKWARD: 1 - forward, ...(forward ? { WIDE: 1, ANY: 0 } : width) };
    return {
      name: ['tiled', ...words].join(' '),
      code: linearTiledCode,
      counts: { ...counts, ...sides },
      subgroups: false,
      group: [64, 64],
      units: [1, 1],
    };
  }

  private registers(
    { kind }: LinearForm,
    { rowPairs, columnPairs }: RegisterTile,
    words: readonly (string | number)[],
    counts: Readonly<Record<string, number>>,
  ): Variant {
    const forward = kind === 'linear';
    const quad = +this.swapping;
    const tile = { ROW_PAIRS: rowPairs, ...(forward ? { COLUMN_PAIRS: columnPairs } : {}) };
    return {
      name: ['registers', rowPairs, columnPairs, ...words].join(' '),
      code: forward ? linearCode : linearUntransposedCode,
      counts: { ...counts, ...tile, QUAD: quad, ALONE: 1 - quad },
      subgroups: this.swapping,
      group: [forward ? 4 * columnPairs : 16, 4 * rowPairs],
      units: forward ? [1, 4] : [4, 1],
    };
  }

  /** @param narrow which operand has fewer columns: threads share it. */
  private weightGrad({ addend }: WeightGradForm, narrow: 'a' | 'b'): Variant {
    const shared = {
      SHARE_A: +(this.swapping && narrow === 'a'),
      SHARE_B: +(this.swapping && narrow === 'b'),
      ALONE: +!this.swapping,
    };
    const side = 4 * GRAD_TILE;
    return {
      name: ['weight grad', narrow, addend].join(' '),
      code: weightGradCode,
      counts: { ...addendCounts(addend), ...shared, A4: GRAD_TILE, B4: GRAD_TILE },
      subgroups: this.swapping,
      // Without swapping the four threads lie along b's columns.
      group: shared.SHARE_B ? [side, 4 * side] : [4 * side, side],
      units: [4, 4],
    };
  }
}

function addendCounts(addend: Addend): { BIAS: number; RESIDUAL: number } {
  return { BIAS: +(addend === 'bias'), RESIDUAL: +(addend === 'residual') };
}
