import binaryCode from '../../../shaders/linear/binary.wgsl?raw';
import linearCode from '../../../shaders/linear/linear.wgsl?raw';
import linearRowCode from '../../../shaders/linear/linear-row.wgsl?raw';
import normCode from '../../../shaders/linear/norm.wgsl?raw';
import unaryCode from '../../../shaders/linear/unary.wgsl?raw';
import type { Gpu } from '../../gpu/device';
import { compileKernel, type Kernel } from '../../gpu/kernel';
import type { Recorder } from '../../gpu/recorder';
import { type GpuTensor, sizeOf } from '../../gpu/tensor';

/** Threads that share a dot product, and rows up to which they do. Barriers are dear on CPU adapters. */
const LANES = { cpu: 1, gpu: 16 };
const FEW_ROWS = { cpu: 2, gpu: 16 };
/** Threads of a workgroup of the many-row kernel: 4 columns each. */
const GROUP = { cpu: 16, gpu: 64 };
const MAX_GROUPS = 65_535;

export type UnaryOp = 'sigmoid' | 'gelu-tanh' | 'gelu-erf';
export type BinaryOp = 'add' | 'mul';

const UNARY: readonly UnaryOp[] = ['sigmoid', 'gelu-tanh', 'gelu-erf'];
const BINARY: readonly BinaryOp[] = ['add', 'mul'];

/** The WGSL kernels of the dense arithmetic, f32. Widths are multiples of 4. */
export class DenseKernels {
  private constructor(
    private readonly kernels: {
      linear: Kernel;
      linearRow: Kernel;
      norm: Kernel;
      unary: Record<UnaryOp, Kernel>;
      binary: Record<BinaryOp, Kernel>;
    },
    private readonly sizes: { few: number; columns: number; norm: number; group: number },
  ) {}

  /** Compiles all of them. */
  static async create(gpu: Gpu): Promise<DenseKernels> {
    const kind = gpu.adapter.isFallback ? 'cpu' : 'gpu';
    const lanes = LANES[kind];
    const columns = 64 / lanes;
    const normLanes = kind === 'cpu' ? 1 : 64;
    const normRows = kind === 'cpu' ? 4 : 1;
    const make = (name: string, code: string, constants: Record<string, number>) =>
      compileKernel(gpu, { name, code, constants });
    const [linear, linearRow, norm, sigmoid, tanh, erf, add, mul] = await Promise.all([
      make('linear', linearCode, { WG: GROUP[kind] }),
      make('linear row', linearRowCode, { LANES: lanes, COLUMNS: columns }),
      make('norm', normCode, { LANES: normLanes, ROWS: normRows }),
      ...UNARY.map((op, OP) => make(op, unaryCode, { OP })),
      ...BINARY.map((op, OP) => make(op, binaryCode, { OP })),
    ] as const);
    return new DenseKernels(
      {
        linear: linear!,
        linearRow: linearRow!,
        norm: norm!,
        unary: { sigmoid: sigmoid!, 'gelu-tanh': tanh!, 'gelu-erf': erf! },
        binary: { add: add!, mul: mul! },
      },
      { few: FEW_ROWS[kind], columns, norm: normRows, group: GROUP[kind] },
    );
  }

  /** y = x W^T + c. x `[rows, K]`, w `[N, K]`, c a bias `[N]` or a residual `[rows, N]`, y `[rows, N]`. */
  linear(recorder: Recorder, x: GpuTensor, w: GpuTensor, c: GpuTensor | undefined, y: GpuTensor): void {
    const [n, k] = w.shape as [number, number];
    const rows = sizeOf(x.shape) / k;
    const mode = !c ? 0 : c.shape.length === 1 ? 1 : 2;
    const params = new Uint32Array([rows, n, quarter('a row', k), mode]);
    const bindings = [x, w, c ?? w, y];
    if (rows <= this.sizes.few) {
      recorder.dispatch(this.kernels.linearRow, params, bindings, [Math.ceil(n / this.sizes.columns), rows]);
      return;
    }
    const grid = [Math.ceil(n / 4 / this.sizes.group), Math.ceil(rows / 4)] as const;
    recorder.dispatch(this.kernels.linear, params, bindings, grid);
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
    const n = weight.shape[0]!;
    const rows = sizeOf(x.shape) / n;
    const params = new DataView(new ArrayBuffer(16));
    params.setUint32(0, rows, true);
    params.setUint32(4, quarter('a row', n), true);
    params.setUint32(8, bias ? 1 : 0, true);
    params.setFloat32(12, epsilon, true);
    recorder.dispatch(
      this.kernels.norm,
      params,
      [x, weight, bias ?? weight, y],
      [Math.ceil(rows / this.sizes.norm)],
    );
  }

  unary(recorder: Recorder, op: UnaryOp, x: GpuTensor, y: GpuTensor): void {
    const n4 = quarter('a tensor', sizeOf(x.shape));
    recorder.dispatch(this.kernels.unary[op], new Uint32Array([n4]), [x, y], fold(n4));
  }

  /** Shapes equal. */
  binary(recorder: Recorder, op: BinaryOp, a: GpuTensor, b: GpuTensor, y: GpuTensor): void {
    const n4 = quarter('a tensor', sizeOf(a.shape));
    recorder.dispatch(this.kernels.binary[op], new Uint32Array([n4]), [a, b, y], fold(n4));
  }
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
