import type { Gpu } from '../../gpu/device';
import { Recorder } from '../../gpu/recorder';
import { byteLength, type DType, type GpuTensor, sizeOf } from '../../gpu/tensor';
import type { BlockGraph, BlockRuntime, GraphCapture, NamedTensors, Scratch } from '../block-graph';
import { fuseSwiGlu } from '../fuse-swiglu';
import { floatAttribute, type GraphModel, intAttribute, type NodeSpec, type ValueSpec } from '../graph';
import { type BinaryOp, DenseKernels, type UnaryOp } from './dense-kernels';
import { fuseProducts } from './fuse-products';
import { type NodePlan, planNode, typeOf } from './plan-node';
import { ProductKernels } from './product-kernels';
import { QuantisedKernels } from './quantised-kernels';
import { ScratchPool } from './scratch-pool';
import { assignSlots, type ScratchValue } from './scratch-slots';

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
    const graph = fuseProducts(fuseSwiGlu(written), (node) => planNode(node, written)?.product !== undefined);
    const plans = graph.nodes.map((node) => planNode(node, graph)!);
    const { dense, products, quantised } = this.kernels;
    await Promise.all([
      dense.prepare(plans.flatMap((plan) => plan.dense ?? [])),
      products.prepare(plans.flatMap((plan) => plan.product ?? [])),
      ...plans.flatMap(({ packed }) =>
        packed ? [quantised.prepare(packed.type, packed.product, packed.rows, packed.types)] : [],
      ),
    ]);
    return new WgslGraph(this.gpu, graph, plans, this.kernels, this.recorder, this.scratch);
  }

  trim(): void {
    this.scratch.destroy();
  }

  /** Frees the buffers between operators. */
  destroy(): void {
    this.trim();
  }
}

function unsupported(graph: GraphModel): string | undefined {
  return graph.nodes.find((node) => !planNode(node, graph))?.op;
}

class WgslGraph implements BlockGraph {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Index of the node that reads a value last. */
  private readonly lastUse = new Map<string, number>();
  /** How what the nodes give is stored. */
  private readonly types: ReadonlyMap<string, DType>;

  constructor(
    private readonly gpu: Gpu,
    private readonly graph: GraphModel,
    private readonly plans: readonly NodePlan[],
    private readonly kernels: Kernels,
    private readonly recorder: Recorder,
    private readonly scratch: ScratchPool,
  ) {
    this.name = graph.name;
    this.inputs = graph.inputs.map((input) => input.name);
    this.outputs = graph.outputs.map((output) => output.name);
    for (const [i, node] of graph.nodes.entries()) {
      for (const input of node.inputs) this.lastUse.set(input, i);
    }
    const made = graph.nodes.flatMap((node) => node.outputs);
    this.types = new Map(made.map((name) => [name, typeOf(name, graph)]));
  }

  async run(inputs: NamedTensors, outputs: NamedTensors): Promise<void> {
    try {
      this.recordNodes(this.recorder, this.scratch, inputs, outputs);
      if (this.gpu.memory.inDoubt) await this.gpu.memory.check();
    } catch (cause) {
      // Commands that may name buffers that are not there, and the buffers.
      this.recorder.discard();
      this.scratch.destroy();
      throw cause;
    }
    this.recorder.submit();
    this.scratch.submitted();
  }

  capture(): GraphCapture | undefined {
    // A copy is no dispatch.
    if (this.plans.some(({ node }) => node.op === 'Concat')) return undefined;
    return (recorder, scratch, inputs, outputs) => this.recordNodes(recorder, scratch, inputs, outputs);
  }

  private recordNodes(
    recorder: Recorder,
    scratch: Scratch,
    inputs: NamedTensors,
    outputs: NamedTensors,
  ): void {
    const values = new Map<string, GpuTensor>();
    for (const value of this.graph.inputs) values.set(value.name, this.given(inputs, value));
    for (const value of this.graph.outputs) values.set(value.name, this.given(outputs, value));
    for (const [id, tensor] of this.inside(inputs, outputs, scratch)) values.set(id, tensor);
    for (const plan of this.plans) {
      const { node } = plan;
      const [operands, results] = [node.inputs, node.outputs].map((names) =>
        names.map((name) => values.get(name)!),
      );
      this.record(recorder, plan, operands!, results!);
    }
  }

  /** Tensors of the values inside the graph, where `scratch` has room for them. */
  private inside(inputs: NamedTensors, outputs: NamedTensors, scratch: Scratch): Map<string, GpuTensor> {
    const shapes = new Map(Object.entries(inputs).map(([id, { shape }]) => [id, shape]));
    const made: ScratchValue[] = [];
    for (const [first, node] of this.graph.nodes.entries()) {
      const shape = outputShape(
        node,
        node.inputs.map((name) => shapes.get(name)),
      );
      for (const name of node.outputs) {
        shapes.set(name, shape);
        const given = outputs[name];
        if (given && sizeOf(given.shape) !== sizeOf(shape))
          throw new Error(
            `The graph ${this.name} gives ${name} the shape [${shape.join(', ')}], not [${given.shape.join(', ')}].`,
          );
        const bytes = byteLength(shape, this.types.get(name)!);
        if (!given) made.push({ name, bytes, first, last: this.lastUse.get(name) ?? first });
      }
    }
    const { bytes, slotOf } = assignSlots(made);
    const buffers = scratch.slots(bytes);
    return new Map(
      made.map(({ name }) => {
        const tensor = {
          buffer: buffers[slotOf.get(name)!]!,
          shape: shapes.get(name)!,
          dtype: this.types.get(name)!,
        };
        return [name, tensor];
      }),
    );
  }

  async destroy(): Promise<void> {}

  private given(tensors: NamedTensors, { name, type }: ValueSpec): GpuTensor {
    const tensor = tensors[name];
    if (!tensor) throw new Error(`No tensor was given for ${name} of the graph ${this.name}.`);
    if (tensor.dtype !== type)
      throw new Error(`The graph ${this.name} takes ${name} as ${type}, not as ${tensor.dtype}.`);
    return tensor;
  }

  private record(
    recorder: Recorder,
    plan: NodePlan,
    operands: readonly GpuTensor[],
    results: readonly GpuTensor[],
  ): void {
    const { dense } = this.kernels;
    const { node } = plan;
    const [a, b, c] = operands as [GpuTensor, GpuTensor, GpuTensor | undefined];
    const out = results[0]!;
    switch (node.op) {
      case 'Gemm':
        this.product(recorder, plan, operands, out);
        break;
      case 'Concat':
        this.concat(recorder, operands, out);
        break;
      case 'SwiGlu':
        dense.swiGlu(recorder, a, b, out);
        break;
      case 'SwiGluGrad':
        dense.swiGluGrad(recorder, a, b, c!, out, results[1]!);
        break;
      case 'RMSNormalization':
      case 'LayerNormalization':
        dense.norm(recorder, a, b, c, floatAttribute(node, 'epsilon'), out);
        break;
      case 'RMSNormalizationGrad':
      case 'LayerNormalizationGrad': {
        const layer = node.op === 'LayerNormalizationGrad';
        dense.normGrad(recorder, a, b, c!, layer, floatAttribute(node, 'epsilon'), out);
        break;
      }
      default:
        // The kernel's name says how many operands there are.
        if (operands.length === 1) dense.unary(recorder, plan.dense!.kernel as UnaryOp, a, out);
        else dense.binary(recorder, plan.dense!.kernel as BinaryOp, a, b, out);
    }
  }

  private product(
    recorder: Recorder,
    { node, product, packed }: NodePlan,
    operands: readonly GpuTensor[],
    y: GpuTensor,
  ): void {
    const { kernels } = this;
    const alpha = floatAttribute(node, 'alpha', 1);
    if (product) {
      const terms = product.kind === 'weight-grad' ? 1 : product.terms;
      const x = operands.filter((_, i) => i < 2 * terms && i % 2 === 0);
      const w = operands.filter((_, i) => i < 2 * terms && i % 2 === 1);
      kernels.products.record(recorder, product, { x, w, c: operands[2 * terms], y, alpha });
      return;
    }
    const [a, b, c] = operands as [GpuTensor, GpuTensor, GpuTensor | undefined];
    if (packed?.product === 'forward') kernels.quantised.linear(recorder, a, b, c, y, alpha);
    else kernels.quantised.linearUntransposed(recorder, a, b, c, y, alpha);
  }

  private concat(recorder: Recorder, parts: readonly GpuTensor[], out: GpuTensor): void {
    let at = 0;
    for (const part of parts) {
      if (part.dtype !== 'f32' || out.dtype !== 'f32')
        throw new Error(`The graph ${this.name} joins values that are not all f32.`);
      const bytes = sizeOf(part.shape) * 4;
      recorder.copy(part.buffer, 0, out.buffer, at, bytes);
      at += bytes;
    }
  }
}

type Shape = readonly number[];

function outputShape(node: NodeSpec, operands: readonly (Shape | undefined)[]): Shape {
  const [a, b] = operands as [Shape, Shape];
  switch (node.op) {
    case 'Gemm': {
      const [rows, inner] = intAttribute(node, 'transA') ? [a[1]!, a[0]!] : [a[0]!, a[1]!];
      const [n, k] = intAttribute(node, 'transB') ? [b[0]!, b[1]!] : [b[1]!, b[0]!];
      if (inner !== k)
        throw new Error(`${node.name}: [${a.join(', ')}] and a weight [${b.join(', ')}] do not go together.`);
      return [rows, n];
    }
    case 'Concat':
      return [operands.reduce((rows, part) => rows + part![0]!, 0), a[1]!];
    case 'Add':
    case 'Mul':
      if (sizeOf(a) !== sizeOf(b))
        throw new Error(`${node.name}: [${a.join(', ')}] and [${b.join(', ')}] differ.`);
      return a;
    default:
      return a;
  }
}
