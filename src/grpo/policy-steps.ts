import type { BlockRuntime } from '../blocks/block-graph';
import { differentiate } from '../blocks/differentiate';
import { qwen2First, qwen2Head } from '../blocks/qwen2-graphs';
import type { LoraAdapter } from '../lora/adapter';
import {
  compileSteps,
  type DecoderGraph,
  decoderGraphs,
  layerPrefix,
  type Step,
} from '../model/decoder-steps';
import type { LanguageModel } from '../model/language-model';
import { LANGUAGE_PREFIX } from '../model/tensor-names';
import { differentiateTapped, type GraphTap } from './tap-graph';

/** The compiled graphs of a policy's forward and backward pass. */
export interface PolicySteps {
  /** A pass that keeps the layers' inputs and computes the layers again backwards. */
  recomputed: PolicyPass;
  /** A pass that keeps what its way back needs. */
  kept: PolicyPass;
  /** The forward pass without the adapter; it has no way back. */
  reference: PolicyPass;
  /** hidden -> q, k, v by layer. */
  qkv: readonly Step[];
  head: Step;
  headBackward: Step;
}

/** The steps of a pass: what comes before the first attention, then what follows each. */
export interface PolicyPass {
  readonly forward: readonly Step[];
  /** Undefined below the lowest step that has something to train. */
  readonly backward: readonly (BackwardStep | undefined)[];
  /** What each forward step gives for its way back, besides its outputs. */
  readonly taps: readonly (readonly GraphTap[])[];
}

/** A backward graph of a decoder's step. */
export interface BackwardStep extends Step {
  /** Outputs that are gradients of the LoRA, with the names of its tensors. */
  readonly gradients: readonly { output: string; name: string }[];
}

/** Compiles them for a model and an adapter. */
export async function compilePolicy(
  runtime: BlockRuntime,
  language: LanguageModel,
  adapter: LoraAdapter,
): Promise<PolicySteps> {
  const text = language.config.text_config;
  const n = text.num_hidden_layers;
  const lora = adapter.decoder;
  const weights = {
    get: (name: string) => (name.includes('.lora_') ? adapter : language.weights).get(name),
  };
  const forward = decoderGraphs(text, n, lora);
  const ways = forward.map((_, i) => wayBack(forward, i));
  const compile = (graphs: readonly DecoderGraph[]) => compileSteps(runtime, graphs, weights);
  const compileBackward = (make: (graph: DecoderGraph, way: WayBack) => DecoderGraph) =>
    Promise.all(
      forward.map(async (graph, i) => {
        const way = ways[i];
        if (!way) return undefined;
        const [step] = await compile([make(graph, way)]);
        return gradientsOf(step!, graph);
      }),
    );
  const tapped = forward.map(({ model }, i) => {
    const way = ways[i];
    return way && differentiateTapped(model, way.wrt, way);
  });
  const tapsOf = (i: number) => tapped[i]?.taps ?? [];
  const qkv = Array.from({ length: n }, (_, layer) => ({
    model: qwen2First(text, { ...lora, own: new Set<never>(), next: lora.targets(layer) }),
    own: `${LANGUAGE_PREFIX}model.`,
    next: layerPrefix(layer),
  }));
  const head = qwen2Head(text, language.head.weights['head.weight']!.dtype);
  return {
    recomputed: {
      forward: await compile(forward),
      backward: await compileBackward((graph, { wrt, ...options }) => ({
        ...graph,
        model: differentiate(graph.model, wrt, options),
      })),
      taps: forward.map(() => []),
    },
    kept: {
      forward: await compile(
        forward.map((graph, i) => ({ ...graph, model: tapped[i]?.forward ?? graph.model })),
      ),
      backward: await compileBackward((graph) => {
        const i = forward.indexOf(graph);
        return { ...graph, model: tapped[i]!.backward, taps: tapsOf(i).map(({ name }) => name) };
      }),
      taps: forward.map((_, i) => tapsOf(i)),
    },
    reference: {
      forward: await compile(decoderGraphs(text, n)),
      backward: forward.map(() => undefined),
      taps: forward.map(() => []),
    },
    qkv: await compile(qkv),
    head: { graph: await runtime.compile(head), weights: language.head.weights },
    headBackward: {
      graph: await runtime.compile(differentiate(head, ['final_norm'])),
      weights: language.head.weights,
    },
  };
}

/** What a step's backward graph is made for: `differentiate`'s arguments. */
interface WayBack {
  wrt: readonly string[];
  kept: readonly string[];
  cotangents?: readonly string[];
}

/**
 * How a step is differentiated. The lowest one with something to train gives the gradients of its LoRA alone, and
 * those below it none.
 */
function wayBack(graphs: readonly DecoderGraph[], at: number): WayBack | undefined {
  const trained = ({ model }: DecoderGraph) =>
    model.inputs.map(({ name }) => name).filter((name) => name.includes('.lora_'));
  const lowest = graphs.findIndex((graph) => trained(graph).length > 0);
  if (at < lowest) return undefined;
  const lora = trained(graphs[at]!);
  return {
    wrt: at === lowest ? lora : ['attention', 'residual', ...lora],
    kept: at === 0 ? [] : ['hidden'],
    ...(at === graphs.length - 1 ? { cotangents: ['final_norm'] } : {}),
  };
}

function gradientsOf(step: Step, { own, next }: DecoderGraph): BackwardStep {
  const gradients = step.graph.outputs.flatMap((output) => {
    if (!output.includes('.lora_')) return [];
    const name = output.slice('d_'.length);
    return [{ output, name: name.startsWith('next.') ? next + name.slice('next.'.length) : own + name }];
  });
  return { ...step, gradients };
}
