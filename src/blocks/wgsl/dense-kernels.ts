import binaryCode from '../../../shaders/linear/binary.wgsl?raw';
import erfCode from '../../../shaders/linear/erf.wgsl?raw';
import normCode from '../../../shaders/linear/norm.wgsl?raw';
import normGradCode from '../../../shaders/linear/norm-grad.wgsl?raw';
import swigluCode from '../../../shaders/linear/swiglu.wgsl?raw';
import swigluGradCode from '../../../shaders/linear/swiglu-grad.wgsl?raw';
import unaryCode from '../../../shaders/linear/unary.wgsl?raw';
import type { Gpu } from '../../gpu/device';
import { expandWgsl } from '../../gpu/expand-wgsl';
import { compileKernel, type Kernel } from '../../gpu/kernel';
import type { Recorder } from '../../gpu/recorder';
import { type GpuTensor, sizeOf } from '../../gpu/tensor';
import { type FloatType, needsF16, vec4s } from './element-types';
import { type Sharing, sharing, tilesFor } from './tiles';

const MAX_GROUPS = 65_535;

const UNARY: readonly UnaryOp[] = ['sigmoid', 'gelu-tanh', 'gelu-erf'];
const BINARY: readonly BinaryOp[] = ['add', 'mul', 'sigmoid-grad', 'gelu-tanh-grad', 'gelu-erf-grad'];

export type UnaryOp = 'sigmoid' | 'gelu-tanh' | 'gelu-erf';
/** The gradients take the value that their operator kept (see binary.wgsl), then the gradient of its output. */
export type BinaryOp = 'add' | 'mul' | 'sigmoid-grad' | 'gelu-tanh-grad' | 'gelu-erf-grad';
export type DenseKernel = 'norm' | 'norm-grad' | 'swiglu' | 'swiglu-grad' | UnaryOp | BinaryOp;

/** A kernel for operands that are kept in given types, in the order of its bindings. */
export interface DenseForm {
  kernel: DenseKernel;
  types: readonly FloatType[];
}

/** The WGSL kernels of norms and of what goes element by element, over f32 and f16. Widths are multiples of 4. */
export class DenseKernels {
  private readonly compiled = new Map<string, Kernel>();
  private readonly rows: Sharing;

  constructor(private readonly gpu: Gpu) {
    this.rows = sharing(gpu, tilesFor(gpu).norm);
  }

  /**
   * Compiles kernels, all at once; those that are there already cost nothing.
   * @throws Error where one is over f16 and shaders of the GPU have none.
   */
  async prepare(forms: Iterable<DenseForm>): Promise<void> {
    const wanted = new Map([...forms].map((form) => [nameOf(form), form]));
    await Promise.all(
      [...wanted].map(async ([name, { kernel, types }]) => {
        if (this.compiled.has(name)) return;
        const f16 = needsF16(this.gpu, types);
        const { code, counts = {}, aliases } = this.source(kernel);
        const named = Object.fromEntries(aliases.map((alias, i) => [alias, types[i]!]));
        const constants = { ...counts, ...vec4s(named) };
        const subgroups = counts.SUBGROUP === 1;
        const source = { name, code: expandWgsl(code, counts), constants, subgroups, f16 };
        this.compiled.set(name, await compileKernel(this.gpu, source));
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
    recorder.dispatch(this.kernel(op, [x, y]), new Uint32Array([n4]), [x, y], fold(n4));
  }

  /** y = op(a, b), element by element; shapes equal. */
  binary(recorder: Recorder, op: BinaryOp, a: GpuTensor, b: GpuTensor, y: GpuTensor): void {
    const n4 = quarter('a tensor', sizeOf(a.shape));
    recorder.dispatch(this.kernel(op, [a, b, y]), new Uint32Array([n4]), [a, b, y], fold(n4));
  }

  /** y = silu(gate) * up, element by element. */
  swiGlu(recorder: Recorder, gate: GpuTensor, up: GpuTensor, y: GpuTensor): void {
    const n4 = quarter('a tensor', sizeOf(gate.shape));
    const bindings = [gate, up, y];
    recorder.dispatch(this.kernel('swiglu', bindings), new Uint32Array([n4]), bindings, fold(n4));
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
    recorder.dispatch(this.kernel('swiglu-grad', bindings), new Uint32Array([n4]), bindings, fold(n4));
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
    const grid = [Math.ceil(rows / this.rows.rows)] as const;
    const bindings = [x, weight, third, y];
    recorder.dispatch(this.kernel(name, bindings), params, bindings, grid);
  }

  private kernel(kernel: DenseKernel, bindings: readonly GpuTensor[]): Kernel {
    const name = nameOf({ kernel, types: bindings.map(({ dtype }) => dtype) });
    const compiled = this.compiled.get(name);
    if (!compiled) throw new Error(`The kernel ${name} was not prepared.`);
    return compiled;
  }

  private source(name: DenseKernel): Source {
    const { lanes, rows, ways } = this.rows;
    const perRow = { LANES: lanes, ROWS: rows, ...ways };
    switch (name) {
      case 'norm':
        return { code: normCode, counts: perRow, aliases: ['X', 'W', 'B', 'Y'] };
      case 'norm-grad':
        return { code: normGradCode, counts: perRow, aliases: ['X', 'W', 'D', 'Y'] };
      case 'swiglu':
        return { code: swigluCode, aliases: ['A', 'B', 'Y'] };
      case 'swiglu-grad':
        return { code: swigluGradCode, aliases: ['A', 'B', 'D', 'Y', 'Z'] };
      case 'sigmoid':
      case 'gelu-tanh':
      case 'gelu-erf':
        return { code: erfCode + unaryCode, counts: { OP: UNARY.indexOf(name) }, aliases: ['X', 'Y'] };
      default:
        return { code: erfCode + binaryCode, counts: { OP: BINARY.indexOf(name) }, aliases: ['A', 'B', 'Y'] };
    }
  }
}

/** What a kernel is compiled from; `aliases` names the types of its bindings. */
interface Source {
  code: string;
  counts?: Record<string, number>;
  aliases: readonly string[];
}

function nameOf({ kernel, types }: { kernel: DenseKernel; types: readonly string[] }): string {
  return `${kernel} ${types.join(' ')}`;
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
