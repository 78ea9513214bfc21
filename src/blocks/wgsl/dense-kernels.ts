import binaryCode from '../../../shaders/linear/binary.wgsl?raw';
import erfCode from '../../../shaders/linear/erf.wgsl?raw';
import linearCode from '../../../shaders/linear/linear.wgsl?raw';
import linearRowCode from '../../../shaders/linear/linear-row.wgsl?raw';
import linearUntransposedCode from '../../../shaders/linear/linear-untransposed.wgsl?raw';
import normCode from '../../../shaders/linear/norm.wgsl?raw';
import normGradCode from '../../../shaders/linear/norm-grad.wgsl?raw';
import unaryCode from '../../../shaders/linear/unary.wgsl?raw';
import weightGradCode from '../../../shaders/linear/weight-grad.wgsl?raw';
import type { Gpu } from '../../gpu/device';
import { expandWgsl } from '../../gpu/expand-wgsl';
import { compileKernel, type Kernel } from '../../gpu/kernel';
import type { Recorder } from '../../gpu/recorder';
import { type GpuTensor, sizeOf } from '../../gpu/tensor';

/** Threads that share a dot product, and rows up to which they do. Barriers are dear on CPU adapters. */
const LANES = { cpu: 1, gpu: 16 };
const FEW_ROWS = { cpu: 2, gpu: 16 };
/** Threads of a workgroup of the many-row kernel: 4 columns each. */
const GROUP = { cpu: 16, gpu: 64 };
const MAX_GROUPS = 65_535;

const UNARY: readonly UnaryOp[] = ['sigmoid', 'gelu-tanh', 'gelu-erf'];
const BINARY: readonly BinaryOp[] = ['add', 'mul', 'sigmoid-grad', 'gelu-tanh-grad', 'gelu-erf-grad'];

export type UnaryOp = 'sigmoid' | 'gelu-tanh' | 'gelu-erf';
/** The gradients take the value that their operator kept (see binary.wgsl), then the gradient of its output. */
export type BinaryOp = 'add' | 'mul' | 'sigmoid-grad' | 'gelu-tanh-grad' | 'gelu-erf-grad';
export type DenseKernel =
  | 'linear'
  | 'linear-row'
  | 'linear-untransposed'
  | 'linear-untransposed-any'
  | 'weight-grad'
  | 'norm'
  | 'norm-grad'
  | UnaryOp
  | BinaryOp;

/** Sizes of the kernels on a kind of adapter. */
interface Sizes {
  few: number;
  lanes: number;
  columns: number;
  normLanes: number;
  normRows: number;
  group: number;
}

/** The WGSL kernels of the dense arithmetic, f32. Widths are multiples of 4. */
export class DenseKernels {
  private readonly compiled = new Map<DenseKernel, Kernel>();
  private readonly sizes: Sizes;

  constructor(private readonly gpu: Gpu) {
    const kind = gpu.adapter.isFallback ? 'cpu' : 'gpu';
    const lanes = LANES[kind];
    this.sizes = {
      few: FEW_ROWS[kind],
      lanes,
      columns: 64 / lanes,
      normLanes: kind === 'cpu' ? 1 : 64,
      normRows: kind === 'cpu' ? 4 : 1,
      group: GROUP[kind],
    };
  }

  /** Compiles the named kernels, all at once; those that are there already cost nothing. */
  async prepare(names: Iterable<DenseKernel>): Promise<void> {
    await Promise.all(
      [...new Set(names)].map(async (name) => {
        if (this.compiled.has(name)) return;
        const { code, constants } = source(name, this.sizes);
        this.compiled.set(name, await compileKernel(this.gpu, { name, code, constants }));
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
    const params = linearParams(rows, n, quarter('a row', k), c, alpha);
    const bindings = [x, w, c ?? w, y];
    const { few, columns, group } = this.sizes;
    if (rows <= few) {
      recorder.dispatch(this.kernel('linear-row'), params, bindings, [Math.ceil(n / columns), rows]);
      return;
    }
    const grid = [Math.ceil(n / 4 / group), Math.ceil(rows / 4)] as const;
    recorder.dispatch(this.kernel('linear'), params, bindings, grid);
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
    const k4 = quarter('a row', k);
    const grid = [Math.ceil(k4 / this.sizes.group), Math.ceil(rows / 4)] as const;
    recorder.dispatch(
      this.kernel(n % 4 === 0 ? 'linear-untransposed' : 'linear-untransposed-any'),
      linearParams(rows, n, k4, c, alpha),
      [x, w, c ?? w, y],
      grid,
    );
  }

  /** y = alpha a^T b + c. a `[rows, N]`, b `[rows, K]`, c and y `[N, K]`. */
  weightGrad(
    recorder: Recorder,
    a: GpuTensor,
    b: GpuTensor,
    c: GpuTensor | undefined,
    y: GpuTensor,
    alpha = 1,
  ): void {
    const [rows, n] = a.shape as [number, number];
    const n4 = quarter('a row', n);
    const k4 = quarter('a row', b.shape[1]!);
    const params = linearParams(rows, n4, k4, c, alpha);
    recorder.dispatch(this.kernel('weight-grad'), params, [a, b, c ?? a, y], fold(n4 * k4));
  }

  /** RMSNorm, or with a bias LayerNorm, over the last axis. */
  norm(
    recorder: Recorder,
    x: GpuTensor,
    weight: GpuTensor,
    bias: GpuTensor | undefined,
    epsilon: number,
    y: GpuTensor,
  ): void {
    this.overRows('norm', recorder, x, weight, bias ?? weight, bias !== undefined, epsilon, y);
  }

  /** dx of `norm` from dy; `layer` says whether it was a LayerNorm. */
  normGrad(
    recorder: Recorder,
    x: GpuTensor,
    weight: GpuTensor,
    dy: GpuTensor,
    layer: boolean,
    epsilon: number,
    dx: GpuTensor,
  ): void {
    this.overRows('norm-grad', recorder, x, weight, dy, layer, epsilon, dx);
  }

  /** y = op(x), element by element. */
  unary(recorder: Recorder, op: UnaryOp, x: GpuTensor, y: GpuTensor): void {
    const n4 = quarter('a tensor', sizeOf(x.shape));
    recorder.dispatch(this.kernel(op), new Uint32Array([n4]), [x, y], fold(n4));
  }

  /** y = op(a, b), element by element; shapes equal. */
  binary(recorder: Recorder, op: BinaryOp, a: GpuTensor, b: GpuTensor, y: GpuTensor): void {
    const n4 = quarter('a tensor', sizeOf(a.shape));
    recorder.dispatch(this.kernel(op), new Uint32Array([n4]), [a, b, y], fold(n4));
  }

  private overRows(
    name: 'norm' | 'norm-grad',
    recorder: Recorder,
    x: GpuTensor,
    weight: GpuTensor,
    third: GpuTensor,
    layer: boolean,
    epsilon: number,
    y: GpuTensor,
  ): void {
    const n = weight.shape[0]!;
    const rows = sizeOf(x.shape) / n;
    const params = new DataView(new ArrayBuffer(16));
    params.setUint32(0, rows, true);
    params.setUint32(4, quarter('a row', n), true);
    params.setUint32(8, layer ? 1 : 0, true);
    params.setFloat32(12, epsilon, true);
    const grid = [Math.ceil(rows / this.sizes.normRows)] as const;
    recorder.dispatch(this.kernel(name), params, [x, weight, third, y], grid);
  }

  private kernel(name: DenseKernel): Kernel {
    const kernel = this.compiled.get(name);
    if (!kernel) throw new Error(`The kernel ${name} was not prepared.`);
    return kernel;
  }
}

function source(name: DenseKernel, sizes: Sizes): { code: string; constants: Record<string, number> } {
  const { lanes, columns, normLanes, normRows, group } = sizes;
  const perRow = { LANES: normLanes, ROWS: normRows };
  switch (name) {
    case 'linear':
      return { code: linearCode, constants: { WG: group } };
    case 'linear-row':
      return { code: linearRowCode, constants: { LANES: lanes, COLUMNS: columns } };
    case 'linear-untransposed':
      return { code: expandWgsl(linearUntransposedCode, { WIDE: 1, ANY: 0 }), constants: { WG: group } };
    case 'linear-untransposed-any':
      return { code: expandWgsl(linearUntransposedCode, { WIDE: 0, ANY: 1 }), constants: { WG: group } };
    case 'weight-grad':
      return { code: weightGradCode, constants: {} };
    case 'norm':
      return { code: normCode, constants: perRow };
    case 'norm-grad':
      return { code: normGradCode, constants: perRow };
    case 'sigmoid':
    case 'gelu-tanh':
    case 'gelu-erf':
      return { code: erfCode + unaryCode, constants: { OP: UNARY.indexOf(name) } };
    default:
      return { code: erfCode + binaryCode, constants: { OP: BINARY.indexOf(name) } };
  }
}

/** The uniform block of the linear kernels: three counts, what c is, alpha. */
function linearParams(
  first: number,
  second: number,
  third: number,
  c: GpuTensor | undefined,
  alpha: number,
): DataView<ArrayBuffer> {
  const params = new DataView(new ArrayBuffer(20));
  const mode = !c ? 0 : c.shape.length === 1 ? 1 : 2;
  for (const [i, value] of [first, second, third, mode].entries()) params.setUint32(4 * i, value, true);
  params.setFloat32(16, alpha, true);
  return params;
}

function quarter(what: string, n: number): number {
  if (n % 4 !== 0) throw new Error(`The WGSL blocks need ${what} of a multiple of 4 values, not ${n}.`);
  return n / 4;
}

function fold(threads: number): [number, number] {
  const groups = Math.ceil(threads / 64);
  const y = Math.ceil(groups / MAX_GROUPS);
  return [Math.ceil(groups / y), y];
}
