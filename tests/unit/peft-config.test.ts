import { describe, expect, it } from 'vitest';
import { decoderModule, parsePeftConfig } from '../../src/lora/peft-config';
import recorded from '../golden/adapter/adapter_config.json';

describe('adapter_config.json', () => {
  it.each([
    [{}, false],
    [{ use_rslora: true, target_modules: ['q_proj', 'v_proj'], layers_to_transform: [0, 2] }, true],
    [{ target_modules: 'all-linear', init_lora_weights: 'gaussian', lora_dropout: 0.1 }, false],
    [{ eva_config: { rho: 2 }, init_lora_weights: 'eva' }, false],
    [{ a_field_of_later_years: 1 }, false],
  ])('is read in any form of a plain LoRA: %j', (fields, use_rslora) =>
    expect(parsePeftConfig({ ...recorded, ...fields })).toEqual({ r: 4, lora_alpha: 8, use_rslora }),
  );

  it.each<[Record<string, unknown>, RegExp]>([
    [{ use_dora: true }, /asks for use_dora/],
    [{ kasa_config: { beta: 1 } }, /asks for kasa_config/],
    [{ alora_invocation_tokens: [1, 2] }, /asks for alora_invocation_tokens/],
    [{ modules_to_save: ['lm_head'] }, /has a modules_to_save/],
    [{ trainable_token_indices: [5] }, /has a trainable_token_indices/],
    [{ target_parameters: ['mlp.gate_up_proj'] }, /has a target_parameters/],
    [{ bias: 'lora_only' }, /trained biases/],
    [
      { init_lora_weights: 'pissa_niter_4' },
      /started with pissa_niter_4, which changes the base's weights\. Save it again/,
    ],
    [{ init_lora_weights: 'loftq' }, /started with loftq/],
    [{ r: 0 }, /no rank r/],
  ])('is refused with a sentence: %j', (fields, message) =>
    expect(() => parsePeftConfig({ ...recorded, ...fields })).toThrow(message),
  );

  it('belongs to the whole model or to its decoder alone', () => {
    const q = { layer: 11, target: 'self_attn.q_proj' };
    expect(decoderModule('language_model.model.layers.11.self_attn.q_proj')).toEqual(q);
    expect(decoderModule('model.layers.11.self_attn.q_proj')).toEqual(q);
    expect(decoderModule('vision_tower.model.layers.11.self_attn.q_proj')).toBeUndefined();
    expect(decoderModule('model.layers.11.self_attn.qkv_proj')).toBeUndefined();
  });
});
