import binaryCode from '../../../shaders/linear/binary.wgsl?raw';
import erfCode from '../../../shaders/linear/erf.wgsl?raw';
import normCode from '../../../shaders/linear/norm.wgsl?raw';
import normGradCode from '../../../shaders/linear/norm-grad.wgsl?raw';
import swigluCode from '../../../shaders/linear/swiglu.wgsl?raw';
import swigluGradCode from '../../../shaders/linear/swiglu-grad.wgsl?raw';
import unaryCode from '../../../shaders/linear/unary.wgsl?raw';
import type { Gpu } from '../../gpu/device';
import { compileKernel, type Kernel } from '../../gpu/kernel';
import type { Recorder } from '../../gpu/recorder';
import { type GpuTensor, sizeOf } from '../../gpu/tensor';
import { type Tiles, tilesFor } from './tiles';

const VEC4 = 'vec4<f32>';
const MAX_GROUPS = 65_535;

const UNARY: readonly UnaryOp[] = ['sigmoid', 'gelu-tanh', 'gelu-erf'];
const BINARY: readonly BinaryOp[] = ['add', 'mul', 'sigmoid-grad', 'gelu-tanh-grad', 'gelu-erf-grad'];

export type UnaryOp = 'sigmoid' | 'gelu-tanh' | 'gelu-erf';
/** The gradients take the value that their operator kept (see binary.wgsl), then the gradient of its output. */
export type BinaryOp = 'add' | 'mul' | 'sigmoid-grad' | 'gelu-tanh-grad' | 'gelu-erf-grad';
export type DenseKernel = 'norm' | 'norm-grad' | 'swiglu' | 'swiglu-grad' | UnaryOp | BinaryOp;

/** The WGSL kernels of norms and of what goes element by element, f32. Widths are multiples of 4. */
export class DenseKernels {
  private readonly compiled = new Map<DenseKernel, Kernel>();
  private readonly tiles: Tiles;

  constructor(private readonly gpu: Gpu) {
    this.tiles = tilesFor(gpu);
  }

  /** Compiles the named kernels, all at once; those that are there already cost nothing. */
  async prepare(names: Iterable<DenseKernel>): Promise<void> {
    await Promise.all(
      [...new Set(names)].map(async (name) => {
        if (this.compiled.has(name)) return;
        const { code, constants } = source(name, this.tiles);
        this.compiled.set(name, await compileKernel(this.gpu, { name, code, constants }));
      }),
    );
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

  /** y = silu(gate) * up, element by element. */
  swiGlu(recorder: Recorder, gate: GpuTensor, up: GpuTensor, y: GpuTensor): void {
    const n4 = quarter('a tensor', sizeOf(gate.shape));
    recorder.dispatch(this.kernel('swiglu'), new Uint32Array([n4]), [gate, up, y], fold(n4));
  }

  /** d_gate and d_up of `swiGlu` from dy. */
  swiGluGrad(
    recorder: Recorder,
    gate: GpuTensor,
    up: GpuTensor,
    dy: GpuTensor,
    d_gate: GpuTensor,
    d_up: GpuTensor,
  ): void {
    const n4 = quarter('a tensor', sizeOf(gate.shape));
    const bindings = [gate, up, dy, d_gate, d_up];
    recorder.dispatch(this.kernel('swiglu-grad'), new Uint32Array([n4]), bindings, fold(n4));
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
    const grid = [Math.ceil(rows / this.tiles.norm.rows)] as const;
    recorder.dispatch(this.kernel(name), params, [x, weight, third, y], grid);
  }

  private kernel(name: DenseKernel): Kernel {
    const kernel = this.compiled.get(name);
    if (!kernel) throw new Error(`The kernel ${name} was not prepared.`);
    return kernel;
  }
}

function source(
  name: DenseKernel,
  { norm }: Tiles,
): { code: string; constants: Record<string, number | string> } {
  const perRow = { LANES: norm.lanes, ROWS: norm.rows };
  switch (name) {
    case 'norm':
      return { code: normCode, constants: perRow };
    case 'norm-grad':
      return { code: normGradCode, constants: perRow };
    case 'swiglu':
      return { code: swigluCode, constants: { A: VEC4, B: VEC4, Y: VEC4 } };
    case 'swiglu-grad':
      return { code: swigluGradCode, constants: { A: VEC4, B: VEC4, D: VEC4, Y: VEC4 } };
    case 'sigmoid':
    case 'gelu-tanh':
    case 'gelu-erf':
      return { code: erfCode + unaryCode, constants: { OP: UNARY.indexOf(name) } };
    default:
      return { code: erfCode + binaryCode, constants: { OP: BINARY.indexOf(name) } };
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
