import type { GraphModel, NodeSpec } from './graph';

/**
 * The graph with SwiGLU's product as one operator: `(gate * Sigmoid(gate)) * up`, three nodes that nothing else reads,
 * becomes `SwiGlu` (gate, up). It is ours alone, for our own kernels and for derivatives: ONNX has no such operator.
 */
export function fuseSwiGlu(graph: GraphModel): GraphModel {
  const producers = new Map(graph.nodes.map((node) => [node.outputs[0]!, node]));
  const uses = countUses(graph);
  const inner = (name: string, op: string): NodeSpec | undefined => {
    const node = producers.get(name);
    return node?.op === op && uses.get(name) === 1 ? node : undefined;
  };
  const removed = new Set<NodeSpec>();
  const nodes = graph.nodes.map((node) => {
    if (node.op !== 'Mul') return node;
    const [first, up] = node.inputs as [string, string];
    const silu = inner(first, 'Mul');
    const sigmoid = silu && inner(silu.inputs[1]!, 'Sigmoid');
    const gate = silu?.inputs[0];
    if (!gate || !sigmoid || sigmoid.inputs[0] !== gate) return node;
    removed.add(silu).add(sigmoid);
    return { ...node, op: 'SwiGlu', inputs: [gate, up] };
  });
  return { ...graph, nodes: nodes.filter((node) => !removed.has(node)) };
}

/** How often a graph's values are read, being one of its outputs included. */
export function countUses(graph: GraphModel): Map<string, number> {
  const uses = new Map<string, number>();
  const count = (name: string) => uses.set(name, (uses.get(name) ?? 0) + 1);
  for (const node of graph.nodes) node.inputs.forEach(count);
  for (const { name } of graph.outputs) count(name);
  return uses;
}
