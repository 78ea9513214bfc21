import { patchesPerFrame, type TinyLlavaConfig } from './config';

/** Prefixes of the three parts in a checkpoint, after the module tree of the original classes. */
export const VISION_PREFIX = 'vision_tower._vision_tower.vision_model.';
export const CONNECTOR_PREFIX = 'connector._connector.';
export const LANGUAGE_PREFIX = 'language_model.';

type Shapes = Map<string, readonly number[]>;

/**
 * Names and shapes of a checkpoint's tensors. `used` are those that the output depends on; `unused` are vision layers
 * after the selected one, `post_layernorm`, the pooling head, and `lm_head` where it is tied to the embedding: a
 * checkpoint may have them or not.
 */
export function expectedTensors(config: TinyLlavaConfig): { used: Shapes; unused: Shapes } {
  const used: Shapes = new Map();
  const unused: Shapes = new Map();
  addVision(config, used, unused);
  addConnector(config, used);
  addLanguage(config, used, unused);
  return { used, unused };
}

/** Name of the output projection's weight: the embedding's own where they are tied. */
export function lmHeadName(config: TinyLlavaConfig): string {
  return config.text_config.tie_word_embeddings
    ? `${LANGUAGE_PREFIX}model.embed_tokens.weight`
    : `${LANGUAGE_PREFIX}lm_head.weight`;
}

function addPair(shapes: Shapes, name: string, out: number, ...rest: number[]): void {
  shapes.set(`${name}.weight`, [out, ...rest]);
  shapes.set(`${name}.bias`, [out]);
}

function addVision(config: TinyLlavaConfig, used: Shapes, unused: Shapes): void {
  const { vision_config: vision } = config;
  const { hidden_size: C, intermediate_size: F, patch_size: p } = vision;
  const V = VISION_PREFIX;
  addPair(used, `${V}embeddings.patch_embedding`, C, vision.num_channels, p, p);
  used.set(`${V}embeddings.position_embedding.weight`, [patchesPerFrame(vision), C]);
  for (let i = 0; i < vision.num_hidden_layers; i++) {
    const shapes = i < config.vision_layers_used ? used : unused;
    const layer = `${V}encoder.layers.${i}.`;
    addPair(shapes, `${layer}layer_norm1`, C);
    addPair(shapes, `${layer}layer_norm2`, C);
    for (const name of ['q_proj', 'k_proj', 'v_proj', 'out_proj']) {
      addPair(shapes, `${layer}self_attn.${name}`, C, C);
    }
    addPair(shapes, `${layer}mlp.fc1`, F, C);
    addPair(shapes, `${layer}mlp.fc2`, C, F);
  }
  addPair(unused, `${V}post_layernorm`, C);
  unused.set(`${V}head.probe`, [1, 1, C]);
  unused.set(`${V}head.attention.in_proj_weight`, [3 * C, C]);
  unused.set(`${V}head.attention.in_proj_bias`, [3 * C]);
  addPair(unused, `${V}head.attention.out_proj`, C, C);
  addPair(unused, `${V}head.layernorm`, C);
  addPair(unused, `${V}head.mlp.fc1`, F, C);
  addPair(unused, `${V}head.mlp.fc2`, C, F);
}

function addConnector(config: TinyLlavaConfig, used: Shapes): void {
  const { connector } = config;
  const H = config.text_config.hidden_size;
  const inner = connector.heads * connector.dim_head;
  const P = CONNECTOR_PREFIX;
  used.set(`${P}latents`, [connector.num_latents, H]);
  addPair(used, `${P}linear`, H, config.vision_config.hidden_size);
  for (let i = 0; i < connector.num_resampler_layers; i++) {
    const attention = `${P}layers.${i}.0.`;
    addPair(used, `${attention}norm_media`, H);
    addPair(used, `${attention}norm_latents`, H);
    used.set(`${attention}to_q.weight`, [inner, H]);
    used.set(`${attention}to_kv.weight`, [2 * inner, H]);
    used.set(`${attention}to_out.weight`, [H, inner]);
    const feedForward = `${P}layers.${i}.1.`;
    addPair(used, `${feedForward}0`, H);
    used.set(`${feedForward}1.weight`, [connector.ff_mult * H, H]);
    used.set(`${feedForward}3.weight`, [H, connector.ff_mult * H]);
  }
  addPair(used, `${P}norm`, H);
}

function addLanguage(config: TinyLlavaConfig, used: Shapes, unused: Shapes): void {
  const { text_config: text } = config;
  const { hidden_size: H, intermediate_size: F, vocab_size: V } = text;
  const q = text.num_attention_heads * text.head_dim;
  const kv = text.num_key_value_heads * text.head_dim;
  const L = LANGUAGE_PREFIX;
  used.set(`${L}model.embed_tokens.weight`, [V, H]);
  for (let i = 0; i < text.num_hidden_layers; i++) {
    const layer = `${L}model.layers.${i}.`;
    used.set(`${layer}input_layernorm.weight`, [H]);
    addPair(used, `${layer}self_attn.q_proj`, q, H);
    addPair(used, `${layer}self_attn.k_proj`, kv, H);
    addPair(used, `${layer}self_attn.v_proj`, kv, H);
    used.set(`${layer}self_attn.o_proj.weight`, [H, q]);
    used.set(`${layer}post_attention_layernorm.weight`, [H]);
    used.set(`${layer}mlp.gate_proj.weight`, [F, H]);
    used.set(`${layer}mlp.up_proj.weight`, [F, H]);
    used.set(`${layer}mlp.down_proj.weight`, [H, F]);
  }
  used.set(`${L}model.norm.weight`, [H]);
  (text.tie_word_embeddings ? unused : used).set(`${L}lm_head.weight`, [V, H]);
}
