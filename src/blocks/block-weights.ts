import type { GpuTensor } from '../gpu/tensor';
import type { BlockGraph, NamedTensors } from './block-graph';

/** Where a model takes its weights from, by checkpoint name (`Weights` of the weights room is one). */
export interface WeightSource {
  get(name: string): GpuTensor;
}

/**
 * The weights of one use of a graph: every input that is not among `activations`, looked up under the checkpoint
 * prefix of its layer. Graphs name a weight of the following layer `next.<name>`.
 */
export function blockWeights(
  graph: BlockGraph,
  activations: readonly string[],
  weights: WeightSource,
  prefixes: { own?: string; next?: string },
): NamedTensors {
  const out: Record<string, GpuTensor> = {};
  for (const input of graph.inputs) {
    if (activations.includes(input)) continue;
    const next = input.startsWith('next.');
    const prefix = next ? prefixes.next : prefixes.own;
    if (prefix === undefined) throw new Error(`${graph.name}: no layer was named for the weight ${input}.`);
    out[input] = weights.get(prefix + (next ? input.slice('next.'.length) : input));
  }
  return out;
}
