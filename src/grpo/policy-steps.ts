import type { BlockRuntime } from '../blocks/block-graph';
import { differentiate } from '../blocks/differentiate';
import { qwen2First, qwen2Head } from '../blocks/qwen2-graphs';
import type { LoraAdapter } from '../lora/adapter';
import {
  compileDecoder,
  compileSteps,
  type DecoderGraph,
  type DecoderSteps,
  decoderGraphs,
  layerPrefix,
  type Step,
} from '../model/decoder-steps';
import type { LanguageModel } from '../model/language-model';
import { LANGUAGE_PREFIX } from '../model/tensor-names';

/** The compiled graphs of a policy's forward and backward pass. */
export interface PolicySteps {
  policy: DecoderSteps;
  /** The same without the adapter. */
  reference: DecoderSteps;
  /** hidden -> q, k, v by layer. */
  qkv: readonly Step[];
  /** Gradients of the steps behind each attention, by layer. */
  backward: readonly BackwardStep[];
  /** Of the step before the first attention; left out where nothing of it is trained. */
  first: BackwardStep | undefined;
  head: Step;
  headBackward: Step;
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
  const qkv = Array.from({ length: n }, (_, layer) => ({
    model: qwen2First(text, { ...lora, own: new Set<never>(), next: lora.targets(layer) }),
    own: `${LANGUAGE_PREFIX}model.`,
    next: layerPrefix(layer),
  }));
  const backward = forward.map((graph, i) => backwardGraph(graph, i - 1, n));
  const compiled = await compileSteps(
    runtime,
    backward.flatMap((graph) => (graph ? [graph] : [])),
    weights,
  );
  const first = backward[0] && gradientsOf(compiled[0]!, forward[0]!);
  const later = first ? compiled.slice(1) : compiled;
  const head = qwen2Head(text);
  return {
    policy: await compileDecoder(runtime, text, weights, lora),
    reference: await compileDecoder(runtime, text, weights),
    qkv: await compileSteps(runtime, qkv, weights),
    backward: later.map((step, i) => gradientsOf(step, forward[i + 1]!)),
    first,
    head: { graph: await runtime.compile(head), weights: language.head.weights },
    headBackward: {
      graph: await runtime.compile(differentiate(head, ['final_norm'])),
      weights: language.head.weights,
    },
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

/** The backward graph of a step; undefined for the first one where nothing of it is trained. */
function backwardGraph(graph: DecoderGraph, layer: number, layers: number): DecoderGraph | undefined {
  const { model } = graph;
  const lora = model.inputs.map(({ name }) => name).filter((name) => name.includes('.lora_'));
  if (layer < 0) return lora.length > 0 ? { ...graph, model: differentiate(model, lora) } : undefined;
  const cotangents = layer === layers - 1 ? { cotangents: ['final_norm'] } : {};
  const wrt = ['attention', 'residual', ...lora];
  return { ...graph, model: differentiate(model, wrt, { kept: ['hidden'], ...cotangents }) };
}
