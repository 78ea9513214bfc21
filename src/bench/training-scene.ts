import type { WeightSource } from '../blocks/block-weights';
import { LORA_TARGETS } from '../blocks/qwen2-graphs';
import { WgslRuntime } from '../blocks/wgsl/wgsl-runtime';
import type { Gpu } from '../gpu/device';
import { type GpuTensor, sizeOf, uploadTensor } from '../gpu/tensor';
import { type PolicyBatch, policyForest } from '../grpo/policy-batch';
import { LoraAdapter } from '../lora/adapter';
import { DEFAULT_LORA, type LoraConfig } from '../lora/lora-config';
import type { TextConfig, TinyLlavaConfig } from '../model/config';
import { LanguageModel } from '../model/language-model';
import { expectedTensors, LANGUAGE_PREFIX } from '../model/tensor-names';
import { randomValues } from './random-values';

/** A decoder and a group of answers that it is trained on. */
export interface TrainingSpec {
  text: TextConfig;
  /** Visual tokens of a question. */
  num_queries: number;
  /** Rows of the prompt. */
  prompt_rows: number;
  answers: number;
  /** Tokens of each answer. */
  tokens: number;
}

/** Fields of a decoder's config that are the same at every size. */
export const SHARED_FIELDS = {
  rms_norm_eps: 1e-6,
  rope_theta: 1e6,
  max_position_embeddings: 32_768,
  tie_word_embeddings: true,
  eos_token_id: [],
};

/** The toy model; P = 700 and 256 new tokens, both by four. */
export const SMALL_TRAINING: TrainingSpec = {
  text: {
    ...SHARED_FIELDS,
    hidden_size: 128,
    intermediate_size: 384,
    num_hidden_layers: 4,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 32,
    vocab_size: 579,
  },
  num_queries: 64,
  prompt_rows: 175,
  answers: 8,
  tokens: 64,
};

/** Four of the published model's 36 layers, with the same share of its 151,936 tokens. */
export const MODEL_TRAINING: TrainingSpec = {
  text: {
    ...SHARED_FIELDS,
    hidden_size: 2048,
    intermediate_size: 11_008,
    num_hidden_layers: 4,
    num_attention_heads: 16,
    num_key_value_heads: 2,
    head_dim: 128,
    vocab_size: 16_896,
  },
  num_queries: 512,
  prompt_rows: 700,
  answers: 8,
  tokens: 256,
};

/** Rank 8 on all seven linear layers, of every layer. */
export const BENCH_LORA: LoraConfig = { ...DEFAULT_LORA, target_modules: LORA_TARGETS };

/** A spec in words. */
export function describeTraining({ text, prompt_rows, answers, tokens }: TrainingSpec): string {
  return `P=${prompt_rows} G=${answers} R=${tokens} H=${text.hidden_size} layers=${text.num_hidden_layers}`;
}

/** A decoder's weights as they are made up: variance-preserving matrices, norms of one; f32. One at a time. */
export function* languageValues(
  config: TinyLlavaConfig,
): Generator<{ name: string; shape: readonly number[]; values: Float32Array<ArrayBuffer> }> {
  let seed = 1;
  for (const [name, shape] of expectedTensors(config).used) {
    if (!name.startsWith(LANGUAGE_PREFIX)) continue;
    seed += 1;
    const isNorm = name.includes('norm');
    yield { name, shape, values: isNorm ? ones(shape) : scaled(seed, shape) };
  }
}

/** A LoRA's tensors as they are made up, none of them zero: as in the middle of a run. */
export function* loraValues(
  shapes: ReadonlyMap<string, readonly number[]>,
): Generator<{ name: string; shape: readonly number[]; values: Float32Array<ArrayBuffer> }> {
  let seed = 10_000;
  for (const [name, shape] of shapes) {
    seed += 1;
    const values = scaled(seed, shape);
    if (name.endsWith('lora_B.weight')) for (let i = 0; i < values.length; i++) values[i]! *= 0.1;
    yield { name, shape, values };
  }
}

function ones(shape: readonly number[]): Float32Array<ArrayBuffer> {
  return new Float32Array(sizeOf(shape)).fill(1);
}

/** Uniform, of variance 1 by the number of columns. */
function scaled(seed: number, shape: readonly number[]): Float32Array<ArrayBuffer> {
  const factor = Math.sqrt(3 / shape.at(-1)!);
  const values = randomValues(seed, sizeOf(shape));
  for (let i = 0; i < values.length; i++) values[i]! *= factor;
  return values;
}

/** A model of made-up weights with an adapter, on a GPU. */
export interface TrainingScene {
  spec: TrainingSpec;
  config: TinyLlavaConfig;
  language: LanguageModel;
  adapter: LoraAdapter;
  destroy(): void;
}

/** Makes it. Vision tower and connector are not there: a question's visual tokens are made up as well. */
export async function createScene(gpu: Gpu, spec: TrainingSpec): Promise<TrainingScene> {
  const config = configOf(spec);
  const tensors = new Map<string, GpuTensor>();
  for (const { name, shape, values } of languageValues(config))
    tensors.set(name, uploadTensor(gpu, values, shape, 'f32', name));
  await gpu.memory.check();
  const weights: WeightSource = {
    get(name) {
      const tensor = tensors.get(name);
      if (!tensor) throw new Error(`The made-up decoder has no ${name}.`);
      return tensor;
    },
  };
  const runtime = WgslRuntime.create(gpu);
  const max_positions = spec.prompt_rows + spec.tokens;
  const language = await LanguageModel.create(gpu, runtime, config, weights, { max_positions });
  const adapter = LoraAdapter.create(gpu, BENCH_LORA, spec.text);
  for (const { name, values } of loraValues(adapter.shapes)) adapter.set(name, values);
  const destroy = () => {
    adapter.destroy();
    runtime.destroy();
    for (const { buffer } of tensors.values()) buffer.destroy();
  };
  return { spec, config, language, adapter, destroy };
}

/** A model's config around a decoder: vision tower and connector are as small as they can be, and made of nothing. */
export function configOf({ text, num_queries }: Pick<TrainingSpec, 'text' | 'num_queries'>): TinyLlavaConfig {
  return {
    text_config: text,
    vision_config: {
      hidden_size: 64,
      intermediate_size: 64,
      num_hidden_layers: 1,
      num_attention_heads: 1,
      num_channels: 3,
      image_size: 14,
      patch_size: 14,
      layer_norm_eps: 1e-6,
    },
    connector: {
      connector_type: 'groupresampler',
      num_queries,
      group: 8,
      num_latents: num_queries / 8,
      num_resampler_layers: 1,
      heads: 8,
      dim_head: 64,
      ff_mult: 4,
      layer_norm_eps: 1e-5,
    },
    num_frames: 8,
    vision_layers_used: 1,
    drop_first_patch: false,
    image_token_index: -200,
    tokenizer_model_max_length: 3072,
  };
}

/** The answers of a group: made-up tokens. */
export function answerTokens({ text, answers, tokens }: TrainingSpec): number[][] {
  const ids = randomValues(77, answers * tokens);
  return Array.from({ length: answers }, (_, g) =>
    Array.from(ids.subarray(g * tokens, (g + 1) * tokens), (x) =>
      Math.floor(((x + 1) / 2) * text.vocab_size),
    ),
  );
}

/** A group's answers under one prompt. */
export function sharedBatch(spec: TrainingSpec): PolicyBatch {
  return policyForest([{ prompt_rows: spec.prompt_rows, completions: answerTokens(spec) }]);
}

/** The same answers, each under a prompt of its own. */
export function repeatedBatch(spec: TrainingSpec): PolicyBatch {
  const { prompt_rows } = spec;
  return policyForest(answerTokens(spec).map((tokens) => ({ prompt_rows, completions: [tokens] })));
}

/** Embeddings of a prompt `[prompt_rows, H]`, made up. */
export function promptValues({
  text,
  prompt_rows,
}: Pick<TrainingSpec, 'text' | 'prompt_rows'>): Float32Array<ArrayBuffer> {
  return scaled(99, [prompt_rows, text.hidden_size]);
}

/** d loss / d log-probability of each token of a group. */
export function logpGradients({ answers, tokens }: TrainingSpec): Float32Array<ArrayBuffer> {
  return randomValues(123, answers * tokens).map((x) => x / (answers * tokens));
}
