import { fuseSwiGlu } from './fuse-swiglu';
import { type Dim, floatAttribute, type GraphModel, intAttribute, type NodeSpec } from './graph';
import { GraphBuilder, type Value } from './graph-builder';

/**
 * The backward graph of a block: reverse-mode differentiation of the written graph (Baydin et al., arXiv 1502.05767,
 * section 3.2). It takes the block's inputs and `d_<output>` for every output that depends on `wrt`, computes again
 * what it needs of the forward values (layer inputs are all that is kept between the passes), and gives `d_<input>`
 * for every input of `wrt`, an activation or a trained weight. Frozen weights get no gradient and cost none.
 *
 * `cotangents` names the outputs that have a gradient (default: all that depend on `wrt`), `kept` the values whose
 * forward result is given as an input instead of being computed again.
 *
 * Beside ONNX's operators it has `RMSNormalizationGrad`, `LayerNormalizationGrad` (x, weight, dy), `SigmoidGrad`
 * (s, dy), `GeluGrad` (x, dy), `SwiGlu` (gate, up) and `SwiGluGrad` (gate, up, dy; it gives two values), which only our
 * own kernels know.
 * @throws Error naming the node where an operator has no derivative here, or an input does not reach any output.
 */
export function differentiate(
  written: GraphModel,
  wrt: readonly string[],
  { cotangents, kept = [] }: { cotangents?: readonly string[]; kept?: readonly string[] } = {},
): GraphModel {
  const forward = fuseSwiGlu(written);
  const g = new GraphBuilder(`${forward.name} backward`);
  const active = reached(forward, wrt);
  const values = forwardValues(g, forward, kept);
  const gradients = new Map<string, Value>();
  const accumulate = (name: string, gradient: () => Value) => {
    if (!active.has(name)) return;
    const before = gradients.get(name);
    gradients.set(name, before ? g.add(before, gradient()) : gradient());
  };
  for (const { name } of forward.outputs) {
    if (active.has(name) && (cotangents?.includes(name) ?? true))
      gradients.set(name, g.input(`d_${name}`, ['rows', width(forward, name)]));
  }
  for (const node of [...forward.nodes].reverse()) {
    const dy = gradients.get(node.outputs[0]!);
    if (dy) backward(g, node, dy, values, accumulate, forward);
  }
  for (const name of wrt) {
    const gradient = gradients.get(name);
    if (!gradient) throw new Error(`${forward.name}: no output depends on ${name}.`);
    g.output(`d_${name}`, gradient);
  }
  return g.build();
}

/** Names of the values that depend on the given inputs, the inputs included. */
function reached(graph: GraphModel, from: readonly string[]): Set<string> {
  const known = new Set(graph.inputs.map((input) => input.name));
  for (const name of from) if (!known.has(name)) throw new Error(`${graph.name} has no input ${name}.`);
  const active = new Set(from);
  for (const node of graph.nodes) {
    if (node.inputs.some((name) => active.has(name))) for (const name of node.outputs) active.add(name);
  }
  return active;
}

/** Gives the forward values inside the backward graph: inputs and nodes are only put into it where they are asked for. */
function forwardValues(
  g: GraphBuilder,
  forward: GraphModel,
  kept: readonly string[],
): (name: string) => Value {
  const made = new Map<string, Value>();
  const inputs = new Map(forward.inputs.map((input) => [input.name, input]));
  const producers = new Map(forward.nodes.map((node) => [node.outputs[0]!, node]));
  const value = (name: string): Value => {
    const known = made.get(name);
    if (known) return known;
    const input = inputs.get(name);
    const node = producers.get(name);
    if (!input && !node) throw new Error(`${forward.name}: nothing gives ${name}.`);
    const fresh = input
      ? g.input(name, input.dims ?? [], input.type)
      : kept.includes(name)
        ? g.input(name, ['rows', width(forward, name)])
        : g.node(
            node!.op,
            node!.inputs.map((operand) => (operand === '' ? undefined : value(operand))),
            node!.attributes,
          );
    made.set(name, fresh);
    return fresh;
  };
  return value;
}

/** Columns of a value `[rows, columns]`. */
function width(graph: GraphModel, name: string): Dim {
  const input = graph.inputs.find((candidate) => candidate.name === name);
  if (input) return input.dims?.at(-1) ?? name;
  const node = graph.nodes.find((candidate) => candidate.outputs[0] === name)!;
  const weight = graph.inputs.find((candidate) => candidate.name === node.inputs[1]);
  if (node.op === 'Gemm') return weight?.dims?.[0] ?? name;
  return width(graph, node.inputs[0]!);
}

function backward(
  g: GraphBuilder,
  node: NodeSpec,
  dy: Value,
  value: (name: string) => Value,
  accumulate: (name: string, gradient: () => Value) => void,
  forward: GraphModel,
): void {
  const [a, b, c] = node.inputs as [string, string, string | undefined];
  switch (node.op) {
    case 'Gemm': {
      if (intAttribute(node, 'transA') || !intAttribute(node, 'transB'))
        throw new Error(
          `${forward.name}: ${node.name} is no linear layer (x W^T), so it has no derivative here.`,
        );
      const alpha = floatAttribute(node, 'alpha', 1);
      accumulate(a, () => g.matmul(dy, value(b), { alpha }));
      accumulate(b, () => g.matmul(dy, value(a), { transA: true, alpha }));
      if (!c) return;
      accumulate(c, () => {
        const spec = forward.inputs.find((input) => input.name === c);
        if (spec?.dims?.length === 1)
          throw new Error(`${forward.name}: the bias ${c} is frozen; it has no gradient here.`);
        return dy;
      });
      return;
    }
    case 'Add':
      accumulate(a, () => dy);
      accumulate(b, () => dy);
      return;
    case 'Mul':
      accumulate(a, () => g.mul(dy, value(b)));
      accumulate(b, () => g.mul(dy, value(a)));
      return;
    case 'Sigmoid':
      accumulate(a, () => g.node('SigmoidGrad', [value(node.outputs[0]!), dy]));
      return;
    case 'Gelu':
      accumulate(a, () => g.node('GeluGrad', [value(a), dy], node.attributes));
      return;
    case 'SwiGlu': {
      // Both gradients come from one pass over the values.
      const [d_gate, d_up] = g.outputsOf('SwiGluGrad', [value(a), value(b), dy], 2) as [Value, Value];
      accumulate(a, () => d_gate);
      accumulate(b, () => d_up);
      return;
    }
    case 'RMSNormalization':
    case 'LayerNormalization':
      accumulate(a, () => g.node(`${node.op}Grad`, [value(a), value(b), dy], node.attributes));
      return;
    default:
      throw new Error(`${forward.name}: ${node.op} has no derivative here.`);
  }
}
