import type { Gpu } from '../../gpu/device';
import { expandWgsl } from '../../gpu/expand-wgsl';
import { compileKernel, type Kernel } from '../../gpu/kernel';
import type { Recorder } from '../../gpu/recorder';
import { type GpuTensor, sizeOf } from '../../gpu/tensor';
import type { FloatType } from './element-types';
import { needsF16 } from './element-types';
import { ProductVariants, type Variant } from './product-variants';

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
  types: ProductTypes;
  /** Columns of the result. */
  columns: number;
  /** Of 'untransposed': whether all weights have a multiple of 4 rows. */
  wide: boolean;
}

/** y = alpha a^T b + c: the gradient of a weight. */
export interface WeightGradForm {
  kind: 'weight-grad';
  addend: 'none' | 'residual';
  types: ProductTypes;
}

/** How the operands are kept; sums are f32. */
export interface ProductTypes {
  /** By term. */
  x: readonly FloatType[];
  w: readonly FloatType[];
  c: FloatType;
  y: FloatType;
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

/** The matrix products of the blocks over f32 and f16; rows of weights and of results are multiples of 4 values. */
export class ProductKernels {
  private readonly compiled = new Map<string, Kernel>();
  private readonly variants: ProductVariants;

  constructor(private readonly gpu: Gpu) {
    this.variants = new ProductVariants(gpu);
  }

  /**
   * Compiles what forms need at any number of rows, all at once; what is there already costs nothing.
   * @throws Error where a form has f16 and shaders of the GPU have none.
   */
  async prepare(forms: Iterable<ProductForm>): Promise<void> {
    const wanted = new Map<string, Variant>();
    for (const form of forms) {
      needsF16(this.gpu, floats(form.types));
      for (const variant of this.variants.all(form)) wanted.set(variant.name, variant);
    }
    await Promise.all([...wanted.values()].map((variant) => this.compile(variant)));
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
    const { name, group, units } = this.variants.choose(form, rows, inner[0]! <= columns ? 'x' : 'w');
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

  private async compile({ name, code, counts, aliases, subgroups, f16 }: Variant): Promise<void> {
    if (this.compiled.has(name)) return;
    const source = {
      name,
      code: expandWgsl(code, counts),
      constants: { ...counts, ...aliases },
      subgroups,
      f16,
    };
    this.compiled.set(name, await compileKernel(this.gpu, source));
  }
}

function floats({ x, w, c, y }: ProductTypes): FloatType[] {
  return [...x, ...w, c, y];
}
