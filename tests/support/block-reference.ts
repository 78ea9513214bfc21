import {
  floatAttribute,
  type GraphModel,
  intAttribute,
  type NodeSpec,
  textAttribute,
} from '../../src/blocks/graph';

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
    if (node.op === 'SwiGluGrad')
      values.set(node.outputs[1]!, evaluate({ ...node, op: 'SwiGluUpGrad' }, operands));
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
    case 'Gemm': {
      if (intAttribute(node, 'terms') !== 2) return gemm(node, a, b, c);
      // Fused: y = alpha x0 W0 + x1 W1 + c.
      const [x1, w1, addend] = operands.slice(2) as [Dense, Dense, Dense | undefined];
      const unscaled = {
        ...node,
        attributes: { ...node.attributes, alpha: { kind: 'float', value: 1 } },
      } as const;
      return gemm(node, a, b, gemm(unscaled, x1, w1, addend));
    }
    case 'RMSNormalization':
    case 'LayerNormalization':
      return norm(a, b, c, floatAttribute(node, 'epsilon'));
    case 'RMSNormalizationGrad':
    case 'LayerNormalizationGrad':
      return normGrad(a, b, c!, floatAttribute(node, 'epsilon'), node.op.startsWith('Layer'));
    case 'SigmoidGrad':
      return map((s, i) => b.data[i]! * s * (1 - s));
    case 'SwiGlu':
      return map((gate, i) => gate * sigmoid(gate) * b.data[i]!);
    case 'SwiGluGrad':
      return map((gate, i) => {
        const s = sigmoid(gate);
        return c!.data[i]! * b.data[i]! * s * (1 + gate * (1 - s));
      });
    case 'SwiGluUpGrad':
      return map((gate, i) => c!.data[i]! * gate * sigmoid(gate));
    case 'Sigmoid':
      return map(sigmoid);
    case 'Gelu': {
      const tanh = textAttribute(node, 'approximate') === 'tanh';
      return map(tanh ? geluTanh : (v) => 0.5 * v * (1 + erf(v / Math.SQRT2)));
    }
    case 'GeluGrad': {
      const tanh = textAttribute(node, 'approximate') === 'tanh';
      return map((v, i) => b.data[i]! * (tanh ? geluTanhSlope(v) : geluErfSlope(v)));
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

function gemm(node: NodeSpec, a: Dense, b: Dense, c: Dense | undefined): Dense {
  const transA = intAttribute(node, 'transA') === 1;
  const transB = intAttribute(node, 'transB') === 1;
  const alpha = floatAttribute(node, 'alpha', 1);
  const [rows, k] = (transA ? [a.shape[1]!, a.shape[0]!] : a.shape) as [number, number];
  const n = transB ? b.shape[0]! : b.shape[1]!;
  const data = new Float64Array(rows * n);
  for (let r = 0; r < rows; r++)
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let i = 0; i < k; i++)
        sum += a.data[transA ? i * rows + r : r * k + i]! * b.data[transB ? j * k + i : i * n + j]!;
      data[r * n + j] = alpha * sum + (!c ? 0 : c.shape.length === 1 ? c.data[j]! : c.data[r * n + j]!);
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

function normGrad(x: Dense, weight: Dense, dy: Dense, eps: number, layer: boolean): Dense {
  const n = weight.shape[0]!;
  const data = new Float64Array(x.data.length);
  for (let at = 0; at < data.length; at += n) {
    const row = Array.from({ length: n }, (_, i) => x.data[at + i]!);
    const mean = layer ? row.reduce((sum, v) => sum + v / n, 0) : 0;
    const scale = 1 / Math.sqrt(row.reduce((sum, v) => sum + (v - mean) ** 2 / n, 0) + eps);
    const hat = row.map((v) => (v - mean) * scale);
    const g = row.map((_, i) => dy.data[at + i]! * weight.data[i]!);
    const along = g.reduce((sum, v, i) => sum + (v * hat[i]!) / n, 0);
    const level = layer ? g.reduce((sum, v) => sum + v / n, 0) : 0;
    for (let i = 0; i < n; i++) data[at + i] = scale * (g[i]! - level - hat[i]! * along);
  }
  return { data, shape: x.shape };
}

function sigmoid(v: number): number {
  return 1 / (1 + Math.exp(-v));
}

function geluTanh(v: number): number {
  return 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));
}

function geluTanhSlope(v: number): number {
  const t = Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3));
  return 0.5 * (1 + t) + 0.5 * v * (1 - t * t) * Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * v * v);
}

function geluErfSlope(v: number): number {
  return 0.5 * (1 + erf(v / Math.SQRT2)) + (v * Math.exp((-v * v) / 2)) / Math.sqrt(2 * Math.PI);
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
