import type { GraphModel, NodeSpec } from '../../src/blocks/graph';

/** A dense array in float64. */
export interface Dense {
  data: ArrayLike<number>;
  shape: readonly number[];
}

/** Runs a graph's matrix and pointwise operators in float64: the reference for both dense backends. */
export function blockReference(
  graph: GraphModel,
  inputs: Readonly<Record<string, Dense>>,
): Record<string, Dense> {
  const values = new Map<string, Dense>(Object.entries(inputs));
  for (const node of graph.nodes) {
    const operands = node.inputs.map((name) => values.get(name)!);
    values.set(node.outputs[0]!, evaluate(node, operands));
  }
  return Object.fromEntries(graph.outputs.map(({ name }) => [name, values.get(name)!]));
}

function evaluate(node: NodeSpec, operands: Dense[]): Dense {
  const [a, b, c] = operands as [Dense, Dense, Dense | undefined];
  const map = (f: (value: number, i: number) => number): Dense => ({
    data: Float64Array.from({ length: a.data.length }, (_, i) => f(a.data[i]!, i)),
    shape: a.shape,
  });
  switch (node.op) {
    case 'Gemm':
      return gemm(a, b, c);
    case 'RMSNormalization':
    case 'LayerNormalization':
      return norm(a, b, c, epsilon(node));
    case 'Sigmoid':
      return map((v) => 1 / (1 + Math.exp(-v)));
    case 'Gelu': {
      const attribute = node.attributes.approximate;
      const tanh = attribute?.kind === 'string' && attribute.value === 'tanh';
      return map(tanh ? geluTanh : (v) => 0.5 * v * (1 + erf(v / Math.SQRT2)));
    }
    case 'Add':
      return map((v, i) => v + b.data[i]!);
    case 'Mul':
      return map((v, i) => v * b.data[i]!);
    case 'Concat':
      return {
        data: Float64Array.from(operands.flatMap((part) => Array.from(part.data))),
        shape: [operands.reduce((rows, part) => rows + part.shape[0]!, 0), a.shape[1]!],
      };
    default:
      throw new Error(`The reference has no ${node.op}.`);
  }
}

function gemm(x: Dense, w: Dense, c: Dense | undefined): Dense {
  const [rows, k] = x.shape as [number, number];
  const n = w.shape[0]!;
  const data = new Float64Array(rows * n);
  for (let r = 0; r < rows; r++)
    for (let j = 0; j < n; j++) {
      let sum = !c ? 0 : c.shape.length === 1 ? c.data[j]! : c.data[r * n + j]!;
      for (let i = 0; i < k; i++) sum += x.data[r * k + i]! * w.data[j * k + i]!;
      data[r * n + j] = sum;
    }
  return { data, shape: [rows, n] };
}

function norm(x: Dense, weight: Dense, bias: Dense | undefined, eps: number): Dense {
  const n = weight.shape[0]!;
  const data = new Float64Array(x.data.length);
  for (let at = 0; at < data.length; at += n) {
    let mean = 0;
    if (bias) for (let i = 0; i < n; i++) mean += x.data[at + i]! / n;
    let variance = 0;
    for (let i = 0; i < n; i++) variance += (x.data[at + i]! - mean) ** 2 / n;
    for (let i = 0; i < n; i++) {
      const value = ((x.data[at + i]! - mean) / Math.sqrt(variance + eps)) * weight.data[i]!;
      data[at + i] = value + (bias ? bias.data[i]! : 0);
    }
  }
  return { data, shape: x.shape };
}

function epsilon(node: NodeSpec): number {
  const attribute = node.attributes.epsilon;
  if (attribute?.kind !== 'float') throw new Error(`${node.name} has no epsilon.`);
  return attribute.value;
}

function geluTanh(v: number): number {
  return 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));
}

/** erf: its Maclaurin series near 0, the continued fraction of erfc far from it. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (a < 3) {
    let term = a;
    let sum = a;
    for (let n = 1; n < 80; n++) {
      term *= (-a * a) / n;
      sum += term / (2 * n + 1);
    }
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + fraction));
}
