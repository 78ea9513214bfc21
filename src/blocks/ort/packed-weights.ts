import { blockBytes, blocksOf, isQuantised, QUANTISED_BLOCK, type QuantisedDType } from '../../gpu/tensor';
import {
  type AttributeValue,
  floatAttribute,
  type GraphModel,
  intAttribute,
  type NodeSpec,
  type ValueSpec,
} from '../graph';

/** Domain of the operators that ONNX Runtime adds to ONNX's. */
export const MICROSOFT_DOMAIN = 'com.microsoft';

/** Name of the input that has the scales of a quantised weight. */
export function scalesName(weight: string): string {
  return `${weight}.scales`;
}

/**
 * A graph whose weights are q4, q8 or f16 in operators that ONNX Runtime has: products with quantised weights become
 * MatMulNBits (codes and scales are graph inputs), halves are cast to f32 first, rows in f16 where they come in and go
 * out (`castRows`). MatMulNBits computes in f32 here (accuracy_level 0): with 8-bit activations it is off by several
 * percent.
 * @throws Error naming the node where a packed weight is used in another way than x W^T, and for alpha beside it.
 */
export function forOrt(written: GraphModel): GraphModel {
  const graph = castRows(written);
  const packed = new Map(
    graph.inputs.flatMap((input) =>
      isQuantised(input.type) || (input.type === 'f16' && !isRows(input))
        ? [[input.name, input] as const]
        : [],
    ),
  );
  if (packed.size === 0) return graph;
  const inputs = graph.inputs.flatMap((input) => {
    if (!isQuantised(input.type)) return [input];
    const [n, k] = weightDims(input, graph.name);
    return [
      { name: input.name, type: 'u8' as const, dims: [n, blocksOf(k), blockBytes(input.type)] },
      { name: scalesName(input.name), type: 'f32' as const, dims: [n, blocksOf(k)] },
    ];
  });
  const nodes = graph.nodes.flatMap((node): NodeSpec[] => {
    if (!node.inputs.some((name) => packed.has(name))) return [node];
    const weight = packed.get(node.inputs[1]!);
    const plain = node.op === 'Gemm' && !intAttribute(node, 'transA') && intAttribute(node, 'transB') === 1;
    if (!weight || !plain)
      throw new Error(
        `The graph ${graph.name}: ONNX Runtime has no ${node.op} (${node.name}) with that weight.`,
      );
    if (!isQuantised(weight.type)) return castFirst(node);
    const bias = graph.inputs.some(({ name, dims }) => name === node.inputs[2] && dims?.length === 1);
    return matMulNBits(node, weight.type, weightDims(weight, graph.name), bias);
  });
  return { ...graph, inputs, nodes };
}

/** Whether an input is an activation: weights have the same dimensions in every run. */
function isRows({ dims }: ValueSpec): boolean {
  return dims?.some((dim) => typeof dim === 'string') ?? false;
}

/**
 * The graph with its f16 activations cast to f32 where they come in, and those that it gives cast back at its end. All
 * between is f32: the runtime's operators would add up in halves.
 */
function castRows(graph: GraphModel): GraphModel {
  const given = graph.inputs.filter((input) => input.type === 'f16' && isRows(input));
  const made = graph.outputs.filter(({ type }) => type === 'f16');
  const halves = new Set([...given, ...made].map(({ name }) => name));
  if (halves.size === 0) return graph;
  const wide = (name: string) => (halves.has(name) ? `${name}_wide` : name);
  const nodes = [
    ...given.map(({ name }) => cast(name, wide(name), 'f32')),
    ...graph.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(wide),
      outputs: node.outputs.map(wide),
    })),
    ...made.map(({ name }) => cast(wide(name), name, 'f16')),
  ];
  return { ...graph, nodes };
}

function weightDims({ name, dims }: ValueSpec, graph: string): [number, number] {
  const [n, k] = dims ?? [];
  if (typeof n !== 'number' || typeof k !== 'number')
    throw new Error(`The graph ${graph}: the quantised weight ${name} has no fixed size.`);
  return [n, k];
}

/**
 * a W^T + c as MatMulNBits, where c is no bias also Add. (Add of a row to many gave wrong values in ONNX Runtime 1.30
 * for rows of no multiple of 4.)
 */
function matMulNBits(
  node: NodeSpec,
  type: QuantisedDType,
  [N, K]: [number, number],
  bias: boolean,
): NodeSpec[] {
  const [a, weight, c] = node.inputs as [string, string, string | undefined];
  if (floatAttribute(node, 'alpha', 1) !== 1)
    throw new Error(`${node.name}: a product with a quantised weight has no alpha here.`);
  const int = (value: number): AttributeValue => ({ kind: 'int', value });
  const product = c && !bias ? `${node.name}_product` : node.outputs[0]!;
  const out: NodeSpec[] = [
    {
      op: 'MatMulNBits',
      domain: MICROSOFT_DOMAIN,
      name: `${node.name}_nbits`,
      inputs: [a, weight, scalesName(weight), ...(bias ? ['', '', c!] : [])],
      outputs: [product],
      attributes: {
        N: int(N),
        K: int(K),
        bits: int(type === 'q4' ? 4 : 8),
        block_size: int(QUANTISED_BLOCK),
        accuracy_level: int(0),
      },
    },
  ];
  if (c && !bias)
    out.push({ op: 'Add', name: node.name, inputs: [product, c], outputs: node.outputs, attributes: {} });
  return out;
}

function castFirst(node: NodeSpec): NodeSpec[] {
  const [a, weight, ...rest] = node.inputs as [string, string, ...string[]];
  const wide = `${node.name}_wide`;
  return [cast(weight, wide, 'f32'), { ...node, inputs: [a, wide, ...rest] }];
}

function cast(from: string, to: string, type: 'f32' | 'f16'): NodeSpec {
  return {
    op: 'Cast',
    name: `${to}_cast`,
    inputs: [from],
    outputs: [to],
    // FLOAT and FLOAT16 in TensorProto.DataType.
    attributes: { to: { kind: 'int', value: type === 'f32' ? 1 : 10 } },
  };
}
