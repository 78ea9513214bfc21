import type { Gpu } from '../../gpu/device';
import { isPacked } from '../../gpu/packed-weights';
import { Recorder } from '../../gpu/recorder';
import { type GpuTensor, sizeOf } from '../../gpu/tensor';
import type { BlockGraph, BlockRuntime, NamedTensors } from '../block-graph';
import { fuseSwiGlu } from '../fuse-swiglu';
import {
  type ElementType,
  floatAttribute,
  type GraphModel,
  intAttribute,
  type NodeSpec,
  textAttribute,
} from '../graph';
import { type DenseKernel, DenseKernels } from './dense-kernels';
import { fuseProducts } from './fuse-products';
import { type ProductForm, ProductKernels } from './product-kernels';
import { QuantisedKernels } from './quantised-kernels';
import { ScratchPool } from './scratch-pool';

/** The kernels that a node needs beside those of products; undefined where there are none for it. */
function kernelsOf(node: NodeSpec, graph: GraphModel): readonly DenseKernel[] | undefined {
  switch (node.op) {
    case 'Gemm': {
      const [a, b] = [intAttribute(node, 'transA'), intAttribute(node, 'transB')];
      return a && (b || isPacked(weightType(node.inputs[1]!, graph))) ? undefined : [];
    }
    case 'SwiGlu':
      return ['swiglu'];
    case 'SwiGluGrad':
      return ['swiglu-grad'];
    case 'RMSNormalization':
    case 'LayerNormalization':
      return ['norm'];
    case 'RMSNormalizationGrad':
    case 'LayerNormalizationGrad':
      return ['norm-grad'];
    case 'Gelu':
      return [gelu(node)];
    case 'GeluGrad':
      return [`${gelu(node)}-grad`];
    case 'Sigmoid':
      return ['sigmoid'];
    case 'SigmoidGrad':
      return ['sigmoid-grad'];
    case 'Add':
      return ['add'];
    case 'Mul':
      return ['mul'];
    case 'Concat':
      return [];
    default:
      return undefined;
  }
}

/** Dimensions of a value, where it is an input of the graph that has the same ones in every run. */
function fixedDims(name: string | undefined, graph: GraphModel): readonly number[] | undefined {
  const dims = graph.inputs.find((input) => input.name === name)?.dims;
  return dims?.every((dim) => typeof dim === 'number') ? (dims as number[]) : undefined;
}

/** Type of the second operand of a product: what nodes give is f32. */
function weightType(name: string, graph: GraphModel): ElementType {
  return graph.inputs.find((input) => input.name === name)?.type ?? 'f32';
}

/** What a product needs to be compiled; undefined for other nodes, and where the weight is packed. */
function productForm(node: NodeSpec, graph: GraphModel): ProductForm | undefined {
  if (node.op !== 'Gemm' || isPacked(weightType(node.inputs[1]!, graph))) return undefined;
  const terms = intAttribute(node, 'terms') === 2 ? 2 : 1;
  const c = node.inputs[2 * terms];
  if (intAttribute(node, 'transA')) return { kind: 'weight-grad', addend: c ? 'residual' : 'none' };
  const kind = intAttribute(node, 'transB') ? 'linear' : 'untransposed';
  const weights = [node.inputs[1], ...(terms === 2 ? [node.inputs[3]] : [])].map((w) => fixedDims(w, graph));
  return {
    kind,
    terms,
    addend: !c ? 'none' : fixedDims(c, graph)?.length === 1 ? 'bias' : 'residual',
    columns: weights[0]?.[kind === 'linear' ? 0 : 1] ?? Number.POSITIVE_INFINITY,
    wide: weights.every((dims) => dims !== undefined && dims[0]! % 4 === 0),
  };
}

function gelu(node: NodeSpec): 'gelu-tanh' | 'gelu-erf' {
  return textAttribute(node, 'approximate') === 'tanh' ? 'gelu-tanh' : 'gelu-erf';
}

interface Kernels {
  dense: DenseKernels;
  products: ProductKernels;
  quantised: QuantisedKernels;
}

/** Our own kernels as a dense backend: the same graphs, run operator by operator in one submit. */
export class WgslRuntime implements BlockRuntime {
  private readonly recorder: Recorder;
  private readonly scratch: ScratchPool;

  private constructor(
    private readonly gpu: Gpu,
    private readonly kernels: Kernels,
  ) {
    this.recorder = new Recorder(gpu, 'blocks');
    this.scratch = new ScratchPool(gpu);
  }

  /** A runtime without kernels yet: a graph's are compiled with it. */
  static create(gpu: Gpu): WgslRuntime {
    return new WgslRuntime(gpu, {
      dense: new DenseKernels(gpu),
      products: new ProductKernels(gpu),
      quantised: new QuantisedKernels(gpu),
    });
  }

  /** Whether every operator of a graph has a kernel here. */
  static supports(graph: GraphModel): boolean {
    return unsupported(graph) === undefined;
  }

  async compile(written: GraphModel): Promise<BlockGraph> {
    const operator = unsupported(written);
    if (operator)
      throw new Error(`The graph ${written.name} has a ${operator}, for which there is no kernel.`);
    const graph = fuseProducts(fuseSwiGlu(written), (weight) => !isPacked(weightType(weight, written)));
    const { dense, products, quantised } = this.kernels;
    await dense.prepare(graph.nodes.flatMap((node) => kernelsOf(node, graph)!));
    for (const node of graph.nodes) {
      const form = productForm(node, graph);
      if (form) await products.prepare(form);
      const type = node.op === 'Gemm' && weightType(node.inputs[1]!, graph);
      if (type && isPacked(type)) {
        const product = intAttribute(node, 'transB') ? 'forward' : 'backward';
        await quantised.prepare(type, product, fixedDims(node.inputs[1], graph)?.[0] ?? 0);
      }
    }
    return new WgslGraph(this.gpu, graph, this.kernels, this.recorder, this.scratch);
  }

  /** Frees the buffers between operators. */
  destroy(): void {
    this.scratch.destroy();
  }
}

function unsupported(graph: GraphModel): string | undefined {
  return graph.nodes.find((node) => !kernelsOf(node, graph))?.op;
}

class WgslGraph implements BlockGraph {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  private readonly nodes: readonly { node: NodeSpec; form: ProductForm | undefined }[];
  /** Index of the node that reads a value last. */
  private readonly lastUse = new Map<string, number>();

  constructor(
    private readonly gpu: Gpu,
    graph: GraphModel,
    private readonly kernels: Kernels,
    private readonly recorder: Recorder,
    private readonly scratch: ScratchPool,
  ) {
    this.name = graph.name;
    this.inputs = graph.inputs.map((input) => input.name);
    this.outputs = graph.outputs.map((output) => output.name);
    this.nodes = graph.nodes.map((node) => ({ node, form: productForm(node, graph) }));
    for (const [i, node] of graph.nodes.entries()) {
      for (const input of node.inputs) this.lastUse.set(input, i);
    }
  }

  async run(inputs: NamedTensors, outputs: NamedTensors): Promise<void> {
    const taken = new Set<GpuTensor>();
    try {
      this.recordNodes(inputs, outputs, taken);
      if (this.gpu.memory.inDoubt) await this.gpu.memory.check();
    } catch (cause) {
      // Commands that may name buffers that are not there, and the buffers.
      this.recorder.discard();
      for (const tensor of taken) this.scratch.release(tensor);
      this.scratch.destroy();
      throw cause;
    }
    this.recorder.submit();
    this.scratch.submitted();
  }

  /** @param taken holds the scratch tensors that are not released yet. */
  private recordNodes(inputs: NamedTensors, outputs: NamedTensors, taken: Set<GpuTensor>): void {
    const values = new Map<string, GpuTensor>();
    for (const name of this.inputs) values.set(name, this.given(inputs, name));
    for (const name of this.outputs) this.given(outputs, name);
    for (const [i, { node, form }] of this.nodes.entries()) {
      const operands = node.inputs.map((name) => values.get(name));
      const shape = outputShape(node, operands);
      const results = node.outputs.map((id) => {
        let out = outputs[id];
        if (!out) {
          out = this.scratch.take(shape);
          taken.add(out);
        } else if (sizeOf(out.shape) !== sizeOf(shape)) {
          throw new Error(
            `The graph ${this.name} gives ${id} the shape [${shape.join(', ')}], not [${out.shape.join(', ')}].`,
          );
        }
        values.set(id, out);
        return out;
      });
      this.record(node, form, operands as GpuTensor[], results);
      for (const name of new Set([...node.inputs, ...node.outputs])) {
        const value = values.get(name)!;
        if ((this.lastUse.get(name) ?? i) === i && taken.delete(value)) this.scratch.release(value);
      }
    }
  }

  async destroy(): Promise<void> {}

  private given(tensors: NamedTensors, name: string): GpuTensor {
    const tensor = tensors[name];
    if (!tensor) throw new Error(`No tensor was given for ${name} of the graph ${this.name}.`);
    return tensor;
  }

  private record(
    node: NodeSpec,
    form: ProductForm | undefined,
    operands: readonly GpuTensor[],
    results: readonly GpuTensor[],
  ): void {
    const { recorder } = this;
    const kernels = this.kernels.dense;
    const [a, b, c] = operands as [GpuTensor, GpuTensor, GpuTensor | undefined];
    const out = results[0]!;
    switch (node.op) {
      case 'Gemm':
        this.product(node, form, operands, out);
        break;
      case 'SwiGlu':
        kernels.swiGlu(recorder, a, b, out);
        break;
      case 'SwiGluGrad':
        kernels.swiGluGrad(recorder, a, b, c!, out, results[1]!);
        break;
      case 'RMSNormalization':
        kernels.norm(recorder, a, b, undefined, floatAttribute(node, 'epsilon'), out);
        break;
      case 'LayerNormalization':
        kernels.norm(recorder, a, b, c, floatAttribute(node, 'epsilon'), out);
        break;
      case 'RMSNormalizationGrad':
        kernels.normGrad(recorder, a, b, c!, false, floatAttribute(node, 'epsilon'), out);
        break;
      case 'LayerNormalizationGrad':
        kernels.normGrad(recorder, a, b, c!, true, floatAttribute(node, 'epsilon'), out);
        break;
      case 'Gelu':
        kernels.unary(recorder, gelu(node), a, out);
        break;
      case 'GeluGrad':
        kernels.binary(recorder, `${gelu(node)}-grad`, a, b, out);
        break;
      case 'SigmoidGrad':
        kernels.binary(recorder, 'sigmoid-grad', a, b, out);
        break;
      case 'Sigmoid':
        kernels.unary(recorder, 'sigmoid', a, out);
        break;
      case 'Add':
        kernels.binary(recorder, 'add', a, b, out);
        break;
      case 'Mul':
        kernels.binary(recorder, 'mul', a, b, out);
        break;
      case 'Concat':
        this.concat(operands, out);
        break;
    }
  }

  private product(
    node: NodeSpec,
    form: ProductForm | undefined,
    operands: readonly GpuTensor[],
    y: GpuTensor,
  ): void {
    const { recorder, kernels } = this;
    const alpha = floatAttribute(node, 'alpha', 1);
    const [a, b, c] = operands as [GpuTensor, GpuTensor, GpuTensor | undefined];
    if (form) {
      const two = form.kind !== 'weight-grad' && form.terms === 2;
      const [x1, w1, addend] = two ? operands.slice(2) : [undefined, undefined, c];
      const x = x1 ? [a, x1] : [a];
      const w = w1 ? [b, w1] : [b];
      kernels.products.record(recorder, form, { x, w, c: addend, y, alpha });
    } else if (intAttribute(node, 'transB')) kernels.quantised.linear(recorder, a, b, c, y, alpha);
    else kernels.quantised.linearUntransposed(recorder, a, b, c, y, alpha);
  }

  private concat(parts: readonly GpuTensor[], out: GpuTensor): void {
    let at = 0;
    for (const part of parts) {
      const bytes = sizeOf(part.shape) * 4;
      this.recorder.copy(part.buffer, 0, out.buffer, at, bytes);
      at += bytes;
    }
  }
}

function outputShape(node: NodeSpec, operands: readonly (GpuTensor | undefined)[]): readonly number[] {
  const [a, b] = operands as [GpuTensor, GpuTensor];
  switch (node.op) {
    case 'Gemm': {
      const [rows, inner] = intAttribute(node, 'transA')
        ? [a.shape[1]!, a.shape[0]!]
        : [a.shape[0]!, a.shape[1]!];
      const [n, k] = intAttribute(node, 'transB') ? [b.shape[0]!, b.shape[1]!] : [b.shape[1]!, b.shape[0]!];
      if (inner !== k)
        throw new Error(
          `${node.name}: [${a.shape.join(', ')}] and a weight [${b.shape.join(', ')}] do not go together.`,
        );
      return [rows, n];
    }
    case 'Concat':
      return [operands.reduce((rows, part) => rows + part!.shape[0]!, 0), a.shape[1]!];
    case 'Add':
    case 'Mul':
      if (sizeOf(a.shape) !== sizeOf(b.shape))
        throw new Error(`${node.name}: [${a.shape.join(', ')}] and [${b.shape.join(', ')}] differ.`);
      return a.shape;
    default:
      return a.shape;
  }
}
