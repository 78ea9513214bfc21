import type { BlockGraph, BlockRuntime, NamedTensors } from '../blocks/block-graph';
import { blockWeights, type WeightSource } from '../blocks/block-weights';
import type { GraphModel } from '../blocks/graph';
import {
  type GraphLora,
  type LoraTarget,
  type Qwen2Shape,
  qwen2Block,
  qwen2First,
  qwen2Last,
} from '../blocks/qwen2-graphs';
import { withWeightTypes } from '../blocks/weight-types';
import { LANGUAGE_PREFIX } from './tensor-names';

/** Names of the inputs of a decoder's graphs, forward and backward, that are no weights. */
const ACTIVATIONS = ['hidden', 'attention', 'residual', 'final_norm'].flatMap((name) => [name, `d_${name}`]);
const QKV = ['d_q', 'd_k', 'd_v'];

/** A compiled graph with the weights of one of its uses. */
export interface Step {
  readonly graph: BlockGraph;
  readonly weights: NamedTensors;
}

/** The dense arithmetic of a decoder: what comes before the first attention, and what follows each. */
export interface DecoderSteps {
  readonly first: Step;
  readonly layers: readonly Step[];
}

/** Which layers a LoRA adapts, and how strongly. */
export interface DecoderLora {
  /** Rank, a multiple of 4. */
  readonly r: number;
  readonly scaling: number;
  /** Adapted layers by decoder layer. */
  targets(layer: number): ReadonlySet<LoraTarget>;
}

/** A graph of a decoder with the checkpoint prefixes of its weights. */
export interface DecoderGraph {
  readonly model: GraphModel;
  readonly own: string;
  readonly next: string;
  /** Inputs, beside the decoder's own activations, that are no weights. */
  readonly taps?: readonly string[];
}

/** Checkpoint prefix of a decoder layer. */
export function layerPrefix(layer: number): string {
  return `${LANGUAGE_PREFIX}model.layers.${layer}.`;
}

/**
 * The graphs of a decoder in the order in which they run: the first, then one after each attention. `rows`: how what
 * flows between the kernels is stored (see qwen2-graphs.ts).
 */
export function decoderGraphs(
  shape: Qwen2Shape,
  layers: number,
  lora?: DecoderLora,
  rows: 'f32' | 'f16' = 'f32',
): DecoderGraph[] {
  const root = `${LANGUAGE_PREFIX}model.`;
  const none: ReadonlySet<LoraTarget> = new Set();
  const at = (own: number): GraphLora | undefined =>
    lora && {
      r: lora.r,
      scaling: lora.scaling,
      own: own < 0 ? none : lora.targets(own),
      next: own + 1 < layers ? lora.targets(own + 1) : none,
    };
  return Array.from({ length: layers + 1 }, (_, i) => {
    const own = i - 1;
    const make = own < 0 ? qwen2First : own === layers - 1 ? qwen2Last : qwen2Block;
    return {
      model: make(shape, at(own), rows),
      own: own < 0 ? root : layerPrefix(own),
      next: own === layers - 1 ? root : layerPrefix(own + 1),
    };
  });
}

/** Compiles graphs, equal ones once, and looks up the weights of each. `weights` knows the LoRA's too, if there is one. */
export async function compileSteps(
  runtime: BlockRuntime,
  graphs: readonly DecoderGraph[],
  weights: WeightSource,
): Promise<Step[]> {
  const compiled = new Map<string, Promise<BlockGraph>>();
  const steps: Step[] = [];
  for (const { model: written, own, next, taps = [] } of graphs) {
    const model = withWeightTypes(written, weights, { own, next });
    const key = JSON.stringify(model);
    if (!compiled.has(key)) compiled.set(key, runtime.compile(model));
    const graph = await compiled.get(key)!;
    const activations = [...ACTIVATIONS, ...QKV, ...taps];
    steps.push({ graph, weights: blockWeights(graph, activations, weights, { own, next }) });
  }
  return steps;
}

/** A decoder's steps, with the LoRA where one is given; `rows` as `decoderGraphs`. */
export async function compileDecoder(
  runtime: BlockRuntime,
  shape: Qwen2Shape & { num_hidden_layers: number },
  weights: WeightSource,
  lora: DecoderLora | undefined,
  rows: 'f32' | 'f16',
): Promise<DecoderSteps> {
  const graphs = decoderGraphs(shape, shape.num_hidden_layers, lora, rows);
  const [first, ...layers] = await compileSteps(runtime, graphs, weights);
  return { first: first!, layers };
}
