import { differentiate } from '../blocks/differentiate';
import type { GraphModel } from '../blocks/graph';

const PREFIX = 'tap.';

/** A value that a forward graph gives and its backward graph takes, `[rows, width]`. */
export interface GraphTap {
  name: string;
  width: number;
}

/** A forward graph that also gives what its backward graph would compute again, and that backward graph. */
export interface TappedGraph {
  forward: GraphModel;
  backward: GraphModel;
  taps: readonly GraphTap[];
}

/**
 * A graph's derivative with the results of its matrix products and norms kept between the passes; what is left to
 * compute again is element by element. Options as in `differentiate`.
 */
export function differentiateTapped(
  graph: GraphModel,
  wrt: readonly string[],
  options: { cotangents?: readonly string[]; kept?: readonly string[] } = {},
): TappedGraph {
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const dear = graph.nodes
    .filter(({ op, outputs: [out] }) => (op === 'Gemm' || op.endsWith('Normalization')) && !outputs.has(out!))
    .map(({ outputs: [out] }) => out!);
  const kept = options.kept ?? [];
  // Names of their own: a node of the backward graph may have any other.
  const renamed = rename(graph, new Set(dear));
  const candidates = dear.map((name) => PREFIX + name);
  const backward = differentiate(renamed, wrt, { ...options, kept: [...kept, ...candidates] });
  const taps = backward.inputs.flatMap(({ name, dims }) => {
    if (!name.startsWith(PREFIX)) return [];
    const width = dims?.[1];
    if (typeof width !== 'number') throw new Error(`${graph.name}: ${name} has no known width.`);
    return [{ name, width }];
  });
  const forward: GraphModel = {
    ...renamed,
    outputs: [...renamed.outputs, ...taps.map(({ name }) => ({ name, type: 'f32' as const }))],
  };
  return { forward, backward, taps };
}

function rename(graph: GraphModel, names: ReadonlySet<string>): GraphModel {
  const change = (name: string) => (names.has(name) ? PREFIX + name : name);
  return {
    ...graph,
    name: `${graph.name} tapped`,
    nodes: graph.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(change),
      outputs: node.outputs.map(change),
    })),
  };
}
