import type { AttentionShape } from '../attention/reference';
import type { WeightType } from '../bench/linear-weights';
import type { TinyLlavaConfig } from '../model/config';
import type { LanguageStorage } from '../model/precision';
import { attentionCheck, rotaryCheck } from './attention-checks';
import { linearCheck, pointwiseCheck } from './dense-checks';
import { halfBlockCheck } from './half-block-check';
import { samplerCheck } from './sampler-check';
import type { Check } from './self-test';

/**
 * The checks of what a model compiles to answer, in its own shapes and types of weights.
 * @param language how its language model stores linear weights, and what its passes make.
 */
export function modelChecks(
  config: TinyLlavaConfig,
  weights: Iterable<WeightType>,
  language: LanguageStorage,
): Check[] {
  const { text_config, vision_config } = config;
  const heads = languageShape(config);
  const vision: AttentionShape = {
    q_heads: vision_config.num_attention_heads,
    kv_heads: vision_config.num_attention_heads,
    head_dim: vision_config.hidden_size / vision_config.num_attention_heads,
  };
  return [
    ...[...weights].map(linearCheck),
    pointwiseCheck,
    attentionCheck(vision, false),
    attentionCheck(heads, true),
    rotaryCheck(heads, text_config.rope_theta),
    samplerCheck,
    ...halfChecks(config, language),
  ];
}

/** Those of what a language model stores in f16, where it does. */
function halfChecks(config: TinyLlavaConfig, { passes, weights }: LanguageStorage): Check[] {
  const types = { rows: passes.activation_dtype, cache: passes.kv_dtype };
  if (types.rows === 'f32' && types.cache === 'f32') return [];
  const heads = languageShape(config);
  return [
    attentionCheck(heads, true, types),
    rotaryCheck(heads, config.text_config.rope_theta, types),
    ...(types.rows === 'f16' ? [halfBlockCheck(weights)] : []),
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
