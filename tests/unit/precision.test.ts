import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/model/config';
import {
  defaultPrecision,
  partOf,
  passPrecision,
  summarisePrecision,
  tensorPrecision,
} from '../../src/model/precision';
import { expectedTensors } from '../../src/model/tensor-names';

const config = parseConfig(JSON.parse(readFileSync('public/models/toy/config.json', 'utf8')));
const expected = expectedTensors(config);
const L = 'language_model.model.';
const V = 'vision_tower._vision_tower.vision_model.';

describe('precision of a model', () => {
  it('knows the part of every weight, and leaves the rest f32', () => {
    const part = (name: string) => partOf(name, expected.used.get(name)!);
    expect(part(`${L}embed_tokens.weight`)).toBe('embedding');
    expect(part(`${L}layers.0.mlp.up_proj.weight`)).toBe('language');
    expect(part(`${L}layers.0.self_attn.q_proj.bias`)).toBeUndefined();
    expect(part(`${L}norm.weight`)).toBeUndefined();
    expect(part(`${V}encoder.layers.0.mlp.fc1.weight`)).toBe('vision');
    expect(part(`${V}embeddings.patch_embedding.weight`)).toBeUndefined();
    expect(part(`${V}embeddings.position_embedding.weight`)).toBeUndefined();
    expect(part('connector._connector.layers.0.0.to_kv.weight')).toBe('connector');
    expect(part('connector._connector.latents')).toBeUndefined();
  });

  it('keeps a small model exact, and a large one in 4 bits, 8 bits and halves', () => {
    expect(new Set(Object.values(defaultPrecision(2e6, true)))).toEqual(new Set(['f32']));
    const large = defaultPrecision(3.6e9, true);
    expect(large).toEqual({ language: 'q4', embedding: 'q8', vision: 'f16', connector: 'f16' });
    const of = tensorPrecision(expected, large);
    expect(of(`${L}layers.1.self_attn.o_proj.weight`)).toBe('q4');
    expect(of(`${L}layers.1.self_attn.k_proj.bias`)).toBe('f32');
    expect(of(`${L}embed_tokens.weight`)).toBe('q8');
  });

  it("stores a large model's passes in halves where shaders have them, and nothing else", () => {
    expect(passPrecision(true, 3.6e9)).toEqual({ kv_dtype: 'f16', activation_dtype: 'f16' });
    for (const [f16, parameters] of [
      [false, 3.6e9],
      [true, 2e6],
    ] as const)
      expect(passPrecision(f16, parameters)).toEqual({ kv_dtype: 'f32', activation_dtype: 'f32' });
  });

  it('sums the errors up by part, and names the worst tensor', () => {
    const name = (i: number) => `${L}layers.${i}.mlp.up_proj.weight`;
    const errors = new Map([
      [name(0), 0.1],
      [name(1), 0.2],
    ]);
    const [language] = summarisePrecision(expected, defaultPrecision(3.6e9, true), errors);
    const count = 7 * config.text_config.num_hidden_layers;
    expect(language).toMatchObject({ part: 'language', precision: 'q4', tensors: count });
    expect(language!.mean_error).toBeCloseTo(0.3 / count, 9);
    expect(language!.worst_error).toBe(0.2);
    expect(language!.worst_tensor).toBe(name(1));
    expect(language!.errors).toEqual([
      { name: name(1), error: 0.2 },
      { name: name(0), error: 0.1 },
    ]);
  });
});
