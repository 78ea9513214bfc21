import type { AttentionShape } from '../attention/reference';
import type { WeightType } from '../bench/linear-weights';
import type { TinyLlavaConfig } from '../model/config';
import { attentionCheck, rotaryCheck } from './attention-checks';
import { linearCheck, pointwiseCheck } from './dense-checks';
import { samplerCheck } from './sampler-check';
import type { Check } from './self-test';

/** The checks of what a model compiles to answer, in its own shapes and types of weights. */
export function modelChecks(config: TinyLlavaConfig, weights: Iterable<WeightType>): Check[] {
  const { text_config, vision_config } = config;
  const language = languageShape(config);
  const vision: AttentionShape = {
    q_heads: vision_config.num_attention_heads,
    kv_heads: vision_config.num_attention_heads,
    head_dim: vision_config.hidden_size / vision_config.num_attention_heads,
  };
  return [
    ...[...weights].map(linearCheck),
    pointwiseCheck,
    attentionCheck(vision, false),
    attentionCheck(language, true),
    rotaryCheck(language, text_config.rope_theta),
    samplerCheck,
  ];
}

/** The heads of a model's decoder. */
export function languageShape({ text_config }: TinyLlavaConfig): AttentionShape {
  return {
    q_heads: text_config.num_attention_heads,
    kv_heads: text_config.num_key_value_heads,
    head_dim: text_config.head_dim,
  };
}
