/**
 * The published model's config.json, made of the toy model's by its own numbers.
 * @param toy the toy model's, parsed.
 * @param layers of the language model, and those of the vision tower that are used; default all 36 and 26.
 */
export function publishedConfig(
  toy: { text_config: object; vision_config: object },
  layers = 36,
): Record<string, unknown> {
  const vision = {
    hidden_size: 1152,
    intermediate_size: 4304,
    num_attention_heads: 16,
    image_size: 384,
    patch_size: 14,
  };
  const text = {
    hidden_size: 2048,
    intermediate_size: 11_008,
    num_attention_heads: 16,
    num_key_value_heads: 2,
  };
  return {
    ...toy,
    ...{ hidden_size: 2048, group: 16, num_queries: 512, num_resampler_layers: 3, vision_hidden_size: 1152 },
    vocab_size: 151_936,
    text_config: {
      ...toy.text_config,
      ...text,
      ...{ num_hidden_layers: layers, max_window_layers: layers, vocab_size: 151_936 },
    },
    // The last layer's output is not used.
    vision_config: { ...toy.vision_config, ...vision, num_hidden_layers: Math.min(26, layers) + 1 },
  };
}
