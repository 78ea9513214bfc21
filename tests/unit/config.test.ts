import { describe, expect, it } from 'vitest';
import { parseConfig, patchesPerFrame } from '../../src/model/config';
import { expectedTensors, lmHeadName } from '../../src/model/tensor-names';
import { goldenJson } from '../support/golden';

type Json = Record<string, unknown>;
const golden = () => goldenJson<Json>('checkpoint/config.json');

async function changed(change: Json, section?: 'text_config' | 'vision_config'): Promise<Json> {
  const json = await golden();
  return section ? { ...json, [section]: { ...(json[section] as Json), ...change } } : { ...json, ...change };
}

describe('parseConfig', () => {
  it('reads the tiny model', async () => {
    const config = parseConfig(await golden());
    expect(config.text_config).toMatchObject({ hidden_size: 64, head_dim: 16, num_key_value_heads: 2 });
    expect(config.text_config).toMatchObject({ rope_theta: 1e6, tie_word_embeddings: true });
    expect(config.connector).toMatchObject({ num_queries: 8, group: 4, num_latents: 2, heads: 8 });
    expect(config).toMatchObject({ vision_layers_used: 2, drop_first_patch: true, image_token_index: -200 });
    expect(patchesPerFrame(config.vision_config)).toBe(16);
  });

  it('reads the dimensions of the published model, with fields left at their defaults', async () => {
    const json = await changed({ hidden_size: 2048, group: 16, num_queries: 512, vision_hidden_size: 1152 });
    json.vision_config = {
      hidden_size: 1152,
      image_size: 384,
      intermediate_size: 4304,
      model_type: 'siglip_vision_model',
      num_attention_heads: 16,
      num_hidden_layers: 27,
      patch_size: 14,
    };
    json.text_config = {
      ...(json.text_config as Json),
      hidden_size: 2048,
      intermediate_size: 11008,
      num_hidden_layers: 36,
      num_attention_heads: 16,
      vocab_size: 151936,
    };
    const config = parseConfig(json);
    expect(config.vision_layers_used).toBe(26);
    expect(patchesPerFrame(config.vision_config)).toBe(729);
    expect(config.vision_config.layer_norm_eps).toBe(1e-6);
    expect(config.text_config.head_dim).toBe(128);
    const { used, unused } = expectedTensors(config);
    // 434 + 448 + 38 tensors, and an lm_head that may be stored too.
    expect(used.size + unused.size).toBe(921);
    const count = (shapes: typeof used) =>
      [...shapes.values()].reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(count(used) + count(unused)).toBe(3_629_878_336 + 151936 * 2048);
  });

  it('reads the naive resampler: one group, as many latents as queries, 16 frames where none are named', async () => {
    const config = parseConfig(await changed({ connector_type: 'naiveresampler', group: null }));
    expect(config.connector).toMatchObject({ num_queries: 8, group: 1, num_latents: 8 });
    expect(config.num_frames).toBe(16);
    expect(expectedTensors(config).used.get('connector._connector.latents')).toEqual([8, 64]);
    const other = parseConfig(await changed({ connector_type: 'naiveresampler', group: 4 }));
    expect(other).toMatchObject({ num_frames: 4, connector: { group: 1 } });
    expect(parseConfig(await golden())).toMatchObject({ num_frames: 4, connector: { group: 4 } });
  });

  it('takes the number of tokens from the root where the text section leaves it out', async () => {
    const json = await changed({ vocab_size: null }, 'text_config');
    expect(parseConfig({ ...json, vocab_size: 321 }).text_config.vocab_size).toBe(321);
    expect(() => parseConfig({ ...json, vocab_size: null })).toThrow(/config.json: vocab_size is missing/);
  });

  it('accepts an untied head and other selected layers', async () => {
    const config = parseConfig(await changed({ tie_word_embeddings: false }, 'text_config'));
    expect(lmHeadName(config)).toBe('language_model.lm_head.weight');
    expect(expectedTensors(config).used.has('language_model.lm_head.weight')).toBe(true);
    expect(parseConfig(await changed({ vision_feature_layer: -1 })).vision_layers_used).toBe(3);
    expect(parseConfig(await changed({ vision_feature_layer: 1 })).vision_layers_used).toBe(1);
    expect(parseConfig(await changed({ vision_feature_layer: 0 })).vision_layers_used).toBe(0);
  });

  const cases: [Json, 'text_config' | 'vision_config' | undefined, RegExp][] = [
    [{ model_type: 'llava' }, undefined, /model_type is "llava", and only tinyllava/],
    [{ model_type: null }, undefined, /model_type is missing, and only tinyllava/],
    [{ connector_type: 'mlp2x_gelu' }, undefined, /connector_type is "mlp2x_gelu"/],
    [{ group: 3 }, undefined, /group is 3, which does not divide num_queries = 8/],
    [{ group: null }, undefined, /config.json: group is missing/],
    [{ hidden_size: 32 }, undefined, /hidden_size is 32, but text_config.hidden_size is 64/],
    [{ vision_feature_layer: -5 }, undefined, /vision_feature_layer is -5/],
    [{ num_hidden_layers: 2.5 }, 'text_config', /text_config.num_hidden_layers is 2.5/],
    [{ num_key_value_heads: 3 }, 'text_config', /not a multiple of num_key_value_heads/],
    [{ rope_scaling: { type: 'yarn', factor: 4 } }, 'text_config', /text_config.rope_scaling is set/],
    [{ use_sliding_window: true }, 'text_config', /text_config.use_sliding_window/],
    [{ model_type: 'phi' }, 'text_config', /text_config.model_type is "phi", and only qwen2 can be run/],
    [
      { model_type: 'clip_vision_model' },
      'vision_config',
      /model_type is "clip_vision_model", and only siglip/,
    ],
    [{ hidden_act: 'gelu' }, 'vision_config', /vision_config.hidden_act is "gelu"/],
  ];
  for (const [change, section, message] of cases) {
    it(`refuses ${section ?? ''} ${JSON.stringify(change)}`, async () => {
      const json = await changed(change, section);
      expect(() => parseConfig(json)).toThrow(message);
    });
  }
});
