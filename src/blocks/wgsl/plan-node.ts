import { isPacked, type PackedDType } from '../../gpu/packed-weights';
import { type ElementType, type GraphModel, intAttribute, type NodeSpec, textAttribute } from '../graph';
import type { DenseForm, DenseKernel } from './dense-kernels';
import { type FloatType, isFloat } from './element-types';
import type { ProductForm } from './product-kernels';
import type { PackedProduct, RowTypes } from './quantised-kernels';

/** A node and the kernels that it needs; one of `product`, `packed` and `dense`, and none for a copy. */
export interface NodePlan {
  node: NodeSpec;
  product?: ProductForm;
  /** A product whose weight is unpacked on the way. */
  packed?: { type: PackedDType; product: PackedProduct; rows: number; types: RowTypes };
  dense?: DenseForm;
}

/** What our kernels do for a node of a graph; undefined where there are none for it. */
export function planNode(node: NodeSpec, graph: GraphModel): NodePlan | undefined {
  if (node.op === 'Gemm') return planProduct(node, graph);
  if (node.op === 'Concat') return { node };
  const kernel = denseKernel(node);
  if (!kernel) return undefined;
  const names = [...node.inputs, ...node.outputs];
  // RMSNorm has no bias: its weight is bound in that place.
  if (node.op === 'RMSNormalization') names.splice(2, 0, node.inputs[1]!);
  const types = floatTypes(names, graph);
  return types && { node, dense: { kernel, types } };
}

function planProduct(node: NodeSpec, graph: GraphModel): NodePlan | undefined {
  const terms = intAttribute(node, 'terms') === 2 ? 2 : 1;
  const [transA, transB] = [intAttribute(node, 'transA'), intAttribute(node, 'transB')];
  const x = node.inputs.filter((_, i) => i < 2 * terms && i % 2 === 0);
  const w = node.inputs.filter((_, i) => i < 2 * terms && i % 2 === 1);
  const c = node.inputs[2 * terms];
  const y = node.outputs[0]!;
  if (transA && transB) return undefined;
  const type = typeOf(w[0]!, graph);
  const [xTypes, wTypes, ends] = [x, w, [c ?? y, y]].map((names) => floatTypes(names, graph));
  if (!xTypes || !ends) return undefined;
  const rows: RowTypes = { x: xTypes[0]!, c: ends[0]!, y: ends[1]! };
  // Halves between halves need no unpacking: the kernels of whole floats read them.
  const halves = type === 'f16' && Object.values(rows).includes('f16');
  if (!transA && terms === 1 && isPacked(type) && !halves) {
    const product = transB ? 'forward' : 'backward';
    return { node, packed: { type, product, rows: fixedDims(w[0], graph)?.[0] ?? 0, types: rows } };
  }
  if (!wTypes) return undefined;
  const types = { x: xTypes, w: wTypes, c: ends[0]!, y: ends[1]! };
  if (transA) return { node, product: { kind: 'weight-grad', addend: c ? 'residual' : 'none', types } };
  const weights = w.map((name) => fixedDims(name, graph));
  return {
    node,
    product: {
      kind: transB ? 'linear' : 'untransposed',
      terms,
      addend: !c ? 'none' : fixedDims(c, graph)?.length === 1 ? 'bias' : 'residual',
      types,
      columns: weights[0]?.[transB ? 0 : 1] ?? Number.POSITIVE_INFINITY,
      wide: weights.every((dims) => dims !== undefined && dims[0]! % 4 === 0),
    },
  };
}

function denseKernel(node: NodeSpec): DenseKernel | undefined {
  switch (node.op) {
    case 'SwiGlu':
      return 'swiglu';
    case 'SwiGluGrad':
      return 'swiglu-grad';
    case 'RMSNormalization':
    case 'LayerNormalization':
      return 'norm';
    case 'RMSNormalizationGrad':
    case 'LayerNormalizationGrad':
      return 'norm-grad';
    case 'Gelu':
      return gelu(node);
    case 'GeluGrad':
      return `${gelu(node)}-grad`;
    case 'Sigmoid':
      return 'sigmoid';
    case 'SigmoidGrad':
      return 'sigmoid-grad';
    case 'Add':
      return 'add';
    case 'Mul':
      return 'mul';
    default:
      return undefined;
  }
}

function gelu(node: NodeSpec): 'gelu-tanh' | 'gelu-erf' {
  return textAttribute(node, 'approximate') === 'tanh' ? 'gelu-tanh' : 'gelu-erf';
}

/** Dimensions of a value, where it is an input of the graph that has the same ones in every run. */
function fixedDims(name: string | undefined, graph: GraphModel): readonly number[] | undefined {
  const dims = graph.inputs.find((input) => input.name === name)?.dims;
  return dims?.every((dim) => typeof dim === 'number') ? (dims as number[]) : undefined;
}

/** Type of a value: what is neither an input nor an output of the graph is f32, unless it is one of its halves. */
export function typeOf(name: string, graph: GraphModel): ElementType {
  const known = [...graph.inputs, ...graph.outputs].find((value) => value.name === name)?.type;
  return known ?? (graph.halves?.includes(name) ? 'f16' : 'f32');
}

/** Types of values; undefined where one is no float that kernels read as it is. */
function floatTypes(names: readonly string[], graph: GraphModel): FloatType[] | undefined {
  const types = names.map((name) => typeOf(name, graph));
  return types.every(isFloat) ? types : undefined;
}
