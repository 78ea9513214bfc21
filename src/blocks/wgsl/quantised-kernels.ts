import linearCode from '../../../shaders/linear/packed-linear.wgsl?raw';
import tileCode from '../../../shaders/linear/packed-tile.wgsl?raw';
import untransposedCode from '../../../shaders/linear/packed-untransposed.wgsl?raw';
import type { Gpu } from '../../gpu/device';
import { compileKernel, type Kernel } from '../../gpu/kernel';
import { type PackedDType, packedKernel } from '../../gpu/packed-weights';
import type { Binding, Recorder } from '../../gpu/recorder';
import { blocksOf, type GpuTensor, sizeOf } from '../../gpu/tensor';
import { type FloatType, needsF16, vec4s } from './element-types';
import { type Sharing, sharing } from './tiles';

/** A product with a packed weight: x W^T, or x W. */
export type PackedProduct = 'forward' | 'backward';

/** How the rows of a product are stored: x, the addend c (y's type where there is none), y. */
export interface RowTypes {
  x: FloatType;
  c: FloatType;
  y: FloatType;
}

/** Sizes of the kernels on a kind of adapter. */
interface Sizes {
  /** Rows of one dispatch's threads for few rows, ascending: W is read once for so many. */
  few: readonly number[];
  /** Threads that share a dot product of few rows at most, and threads of a workgroup of theirs. */
  lanes: number;
  threads: number;
  /** Rows and columns that a thread makes of many rows; without them there is the tile kernel. */
  many: { rows: number; columns: number } | undefined;
  /** Threads of a workgroup without shared memory. */
  group: number;
  /** Rows that a thread makes of x W. */
  backward: number;
}

/** A CPU adapter pays for barriers and for workgroup memory; a GPU for reading W again. */
const SIZES: Record<'cpu' | 'gpu', Sizes> = {
  cpu: { few: [1], lanes: 1, threads: 16, many: { rows: 8, columns: 4 }, group: 16, backward: 4 },
  gpu: { few: [1, 8, 16], lanes: 16, threads: 64, many: undefined, group: 64, backward: 4 },
};

/** Linear layers over weights of 4 bits, 8 bits or f16; activations of f32 or f16, sums in f32. K a multiple of 4, N any. */
export class QuantisedKernels {
  private readonly compiled = new Map<string, Kernel>();
  private readonly sizes: Sizes;
  /** How threads share a dot product of few rows. */
  private readonly sharing: Sharing;
  /** Words from a row of a tile to the next: 64, and one more against bank conflicts where there is room. */
  private readonly pitch: number;

  constructor(private readonly gpu: Gpu) {
    this.sizes = SIZES[gpu.adapter.isFallback || gpu.off.has('tiles') ? 'cpu' : 'gpu'];
    this.sharing = sharing(gpu, this.sizes);
    this.pitch = gpu.adapter.limits.maxComputeWorkgroupStorageSize < 2 * 32 * 65 * 4 ? 64 : 65;
  }

  /** Compiles what a product needs at any number of rows; `n` is the weight's number of rows. */
  async prepare(dtype: PackedDType, product: PackedProduct, n: number, types: RowTypes): Promise<void> {
    const names = product === 'forward' ? this.forwardNames(dtype) : this.backwardNames(dtype, n);
    await Promise.all(
      names.map(async (plain) => {
        const name = stored(plain, types);
        if (this.compiled.has(name)) return;
        const source = this.source(plain);
        const constants = { ...elementTypes(types), ...source.constants };
        const f16 = needsF16(this.gpu, [types.x, types.c, types.y]);
        this.compiled.set(name, await compileKernel(this.gpu, { ...source, name, constants, f16 }));
      }),
    );
  }

  /** y = alpha x W^T + c. x `[rows, K]`, w `[N, K]`, c a bias `[N]` or a residual `[rows, N]`, y `[rows, N]`. */
  linear(
    recorder: Recorder,
    x: GpuTensor,
    w: GpuTensor,
    c: GpuTensor | undefined,
    y: GpuTensor,
    alpha = 1,
  ): void {
    const [n, k] = w.shape as [number, number];
    const rows = sizeOf(x.shape) / k;
    const params = packedParams(rows, w, c, alpha);
    const { few, many, group } = this.sizes;
    const fit = few.find((count) => rows <= count);
    const bindings = operands(x, w, c, y);
    const types = typesOf(x, c, y);
    if (fit) {
      const grid = [Math.ceil(n / this.sharing.rows), Math.ceil(rows / fit)] as const;
      recorder.dispatch(this.kernel(`${w.dtype} few ${fit}`, types), params, bindings, grid);
    } else if (many) {
      const grid = [Math.ceil(n / many.columns / group), Math.ceil(rows / many.rows)] as const;
      recorder.dispatch(this.kernel(`${w.dtype} many`, types), params, bindings, grid);
    } else {
      recorder.dispatch(this.kernel(`${w.dtype} tile forward wide`, types), params, bindings, tiles(rows, n));
    }
  }

  /** y = alpha x W + c. x `[rows, N]`, w `[N, K]`, c a bias `[K]` or a residual `[rows, K]`, y `[rows, K]`. */
  linearUntransposed(
    recorder: Recorder,
    x: GpuTensor,
    w: GpuTensor,
    c: GpuTensor | undefined,
    y: GpuTensor,
    alpha = 1,
  ): void {
    const [n, k] = w.shape as [number, number];
    const rows = sizeOf(x.shape) / n;
    const params = packedParams(rows, w, c, alpha);
    const { few, many, group, backward } = this.sizes;
    const bindings = operands(x, w, c, y);
    const types = typesOf(x, c, y);
    const width = n % 4 === 0 ? 'wide' : 'any';
    if (many || rows <= few.at(-1)!) {
      const grid = [Math.ceil(k / 8 / group), Math.ceil(rows / backward)] as const;
      recorder.dispatch(this.kernel(`${w.dtype} untransposed ${width}`, types), params, bindings, grid);
    } else {
      recorder.dispatch(
        this.kernel(`${w.dtype} tile backward ${width}`, types),
        params,
        bindings,
        tiles(rows, k),
      );
    }
  }

  private forwardNames(dtype: PackedDType): string[] {
    const { few, many } = this.sizes;
    const small = few.map((rows) => `${dtype} few ${rows}`);
    return [...small, many ? `${dtype} many` : `${dtype} tile forward wide`];
  }

  private backwardNames(dtype: PackedDType, n: number): string[] {
    const width = n % 4 === 0 ? 'wide' : 'any';
    const plain = `${dtype} untransposed ${width}`;
    return this.sizes.many ? [plain] : [plain, `${dtype} tile backward ${width}`];
  }

  private source(name: string): { code: string; constants: Record<string, number>; subgroups?: boolean } {
    const { many, group, backward } = this.sizes;
    const [dtype, kind, third, width = third] = name.split(' ') as [PackedDType, string, string, string?];
    const wide = width === 'any' ? { WIDE: 0, ANY: 1 } : { WIDE: 1, ANY: 0 };
    const make = (code: string, counts: Record<string, number>, constants: Record<string, number>) => {
      const kernel = packedKernel(code, dtype, 5, { ...wide, ...counts });
      return { code: kernel.code, constants: { ...kernel.constants, ...constants } };
    };
    switch (kind) {
      case 'few': {
        const R = Number(third);
        const { lanes, rows, ways } = this.sharing;
        const threads = { LANES: lanes, COLUMNS: rows };
        const kernel = make(linearCode, { R, C: 1, ...ways }, { ...threads, R_COUNT: R, C_COUNT: 1 });
        return { ...kernel, subgroups: ways.SUBGROUP === 1 };
      }
      case 'many': {
        const { rows: R, columns: C } = many!;
        const alone = { ALONE: 1, SUBGROUP: 0, BARRIER: 0 };
        return make(linearCode, { R, C, ...alone }, { LANES: 1, COLUMNS: group, R_COUNT: R, C_COUNT: C });
      }
      case 'untransposed':
        return make(untransposedCode, { R: backward }, { WG: group, R_COUNT: backward });
      default: {
        const forward = third === 'forward' ? 1 : 0;
        return make(tileCode, { FORWARD: forward, BACKWARD: 1 - forward }, { PITCH: this.pitch });
      }
    }
  }

  private kernel(plain: string, types: RowTypes): Kernel {
    const name = stored(plain, types);
    const kernel = this.compiled.get(name);
    if (!kernel) throw new Error(`The kernel ${name} was not prepared.`);
    return kernel;
  }
}

function typesOf(x: GpuTensor, c: GpuTensor | undefined, y: GpuTensor): RowTypes {
  const [first, addend, out] = [x, c ?? y, y].map(({ dtype }) => dtype as FloatType);
  return { x: first!, c: addend!, y: out! };
}

/** A kernel's name with the types of its rows, where they are not all f32. */
function stored(name: string, { x, c, y }: RowTypes): string {
  const types = [x, c, y];
  return types.includes('f16') ? `${name} ${types.join(' ')}` : name;
}

/** The aliases of the kernels' element types. */
function elementTypes({ x, c, y }: RowTypes): Record<string, string> {
  return { X1: x, C1: c, Y1: y, ...vec4s({ X4: x, C4: c, Y4: y }) };
}

function operands(x: GpuTensor, w: GpuTensor, c: GpuTensor | undefined, y: GpuTensor): Binding[] {
  // Where there is no c, any buffer that is not written stands in its place.
  return [x, w, c ?? x, y, ...(w.scales ? [w.scales] : [])];
}

function tiles(rows: number, columns: number): [number, number] {
  return [Math.ceil(columns / 64), Math.ceil(rows / 64)];
}

/** The uniform block of weight-octet.wgsl. */
function packedParams(
  rows: number,
  w: GpuTensor,
  c: GpuTensor | undefined,
  alpha: number,
): DataView<ArrayBuffer> {
  const [n, k] = w.shape as [number, number];
  if (k % 4 !== 0) throw new Error(`The WGSL blocks need a row of a multiple of 4 values, not ${k}.`);
  const params = new DataView(new ArrayBuffer(24));
  const mode = !c ? 0 : c.shape.length === 1 ? 1 : 2;
  for (const [i, value] of [rows, n, k / 4, mode].entries()) params.setUint32(4 * i, value, true);
  params.setFloat32(16, alpha, true);
  params.setUint32(20, blocksOf(k), true);
  return params;
}
