import type { Gpu } from '../../gpu/device';
import { Recorder } from '../../gpu/recorder';
import { type GpuTensor, sizeOf } from '../../gpu/tensor';
import type { BlockGraph, BlockRuntime, NamedTensors } from '../block-graph';
import {
  type ElementType,
  floatAttribute,
  type GraphModel,
  intAttribute,
  type NodeSpec,
  textAttribute,
} from '../graph';
import { type DenseKernel, DenseKernels } from './dense-kernels';
import { isPacked, QuantisedKernels } from './quantised-kernels';
import { ScratchPool } from './scratch-pool';

/** The kernels that a node needs; undefined where there are none for it. */
function kernelsOf(node: NodeSpec, graph: GraphModel): readonly DenseKernel[] | undefined {
  switch (node.op) {
    case 'Gemm': {
      if (isPacked(weightType(node, graph))) return intAttribute(node, 'transA') ? undefined : [];
      const [a, b] = [intAttribute(node, 'transA'), intAttribute(node, 'transB')];
      if (a) return b ? undefined : ['weight-grad'];
      if (b) return ['linear', 'linear-row'];
      return [inner(node, graph) % 4 === 0 ? 'linear-untransposed' : 'linear-untransposed-any'];
    }
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

/** Rows of the second operand of a product, where it is an input of the graph. */
function inner(node: NodeSpec, graph: GraphModel): number {
  const dim = graph.inputs.find(({ name }) => name === node.inputs[1])?.dims?.[0];
  return typeof dim === 'number' ? dim : 0;
}

/** Type of the second operand of a product: what nodes give is f32. */
function weightType(node: NodeSpec, graph: GraphModel): ElementType {
  return graph.inputs.find(({ name }) => name === node.inputs[1])?.type ?? 'f32';
}

function gelu(node: NodeSpec): 'gelu-tanh' | 'gelu-erf' {
  return textAttribute(node, 'approximate') === 'tanh' ? 'gelu-tanh' : 'gelu-erf';
}

/** Our own kernels as a dense backend: the same graphs, run operator by operator in one submit. */
export class WgslRuntime implements BlockRuntime {
  private readonly recorder: Recorder;
  private readonly scratch: ScratchPool;

  private constructor(
    private readonly gpu: Gpu,
    private readonly kernels: DenseKernels,
    private readonly quantised: QuantisedKernels,
  ) {
    this.recorder = new Recorder(gpu, 'blocks');
    this.scratch = new ScratchPool(gpu);
  }

  /** A runtime without kernels yet: a graph's are compiled with it. */
  static create(gpu: Gpu): WgslRuntime {
    return new WgslRuntime(gpu, new DenseKernels(gpu), new QuantisedKernels(gpu));
  }

  /** Whether every operator of a graph has a kernel here. */
  static supports(graph: GraphModel): boolean {
    return unsupported(graph) === undefined;
  }

  async compile(graph: GraphModel): Promise<BlockGraph> {
    const operator = unsupported(graph);
    if (operator) throw new Error(`The graph ${graph.name} has a ${operator}, for which there is no kernel.`);
    await this.kernels.prepare(graph.nodes.flatMap((node) => kernelsOf(node, graph)!));
    for (const node of graph.nodes) {
      const type = node.op === 'Gemm' && weightType(node, graph);
      if (type && isPacked(type))
        await this.quantised.prepare(
          type,
          intAttribute(node, 'transB') ? 'forward' : 'backward',
          inner(node, graph),
        );
    }
    return new WgslGraph(this.gpu, graph, this.kernels, this.quantised, this.recorder, this.scratch);
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
  private readonly nodes: readonly NodeSpec[];
  /** Index of the node that reads a value last. */
  private readonly lastUse = new Map<string, number>();

  constructor(
    private readonly gpu: Gpu,
    graph: GraphModel,
    private readonly kernels: DenseKernels,
    private readonly quantised: QuantisedKernels,
    private readonly recorder: Recorder,
    private readonly scratch: ScratchPool,
  ) {
    this.name = graph.name;
    this.inputs = graph.inputs.map((input) => input.name);
    this.outputs = graph.outputs.map((output) => output.name);
    this.nodes = graph.nodes;
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
    for (const [i, node] of this.nodes.entries()) {
      const id = node.outputs[0]!;
      const operands = node.inputs.map((name) => values.get(name));
      const shape = outputShape(node, operands);
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
      this.record(node, operands as GpuTensor[], out);
      for (const name of new Set(node.inputs)) {
        const read = values.get(name)!;
        if (this.lastUse.get(name) === i && taken.delete(read)) this.scratch.release(read);
      }
    }
  }

  async destroy(): Promise<void> {}

  private given(tensors: NamedTensors, name: string): GpuTensor {
    const tensor = tensors[name];
    if (!tensor) throw new Error(`No tensor was given for ${name} of the graph ${this.name}.`);
    return tensor;
  }

  private record(node: NodeSpec, operands: readonly GpuTensor[], out: GpuTensor): void {
    const { kernels, recorder } = this;
    const [a, b, c] = operands as [GpuTensor, GpuTensor, GpuTensor | undefined];
    switch (node.op) {
      case 'Gemm': {
        const alpha = floatAttribute(node, 'alpha', 1);
        const linear = isPacked(b.dtype) ? this.quantised : kernels;
        if (intAttribute(node, 'transA')) kernels.weightGrad(recorder, a, b, c, out, alpha);
        else if (intAttribute(node, 'transB')) linear.linear(recorder, a, b, c, out, alpha);
        else linear.linearUntransposed(recorder, a, b, c, out, alpha);
        break;
      }
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
