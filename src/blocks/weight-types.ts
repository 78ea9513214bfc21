import type { WeightSource } from './block-weights';
import type { GraphModel } from './graph';

/**
 * A written graph with the types that its weights have in memory: a weight is an input whose dimensions are all
 * numbers, looked up as `blockWeights` does. Graphs are written for f32; a backend reads the types to choose kernels.
 */
export function withWeightTypes(
  graph: GraphModel,
  weights: WeightSource,
  prefixes: { own: string; next?: string },
): GraphModel {
  const inputs = graph.inputs.map((input) => {
    if (!input.dims?.every((dim) => typeof dim === 'number')) return input;
    const next = input.name.startsWith('next.');
    const prefix = next ? prefixes.next : prefixes.own;
    if (prefix === undefined) return input;
    const { dtype } = weights.get(prefix + (next ? input.name.slice('next.'.length) : input.name));
    return dtype === input.type ? input : { ...input, type: dtype };
  });
  return { ...graph, inputs };
}
