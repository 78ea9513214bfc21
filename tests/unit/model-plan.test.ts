import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { syntheticRepository } from '../../src/cli/synthetic-hub/repository';
import { parseConfig } from '../../src/model/config';
import { planModel } from '../../src/model/model-plan';
import { openCheckpoint } from '../../src/weights/checkpoint';
import type { FileStore } from '../../src/weights/file-store';

/** The published model's config, from the toy's by its own numbers. */
async function publishedConfig(): Promise<Record<string, unknown>> {
  const toy = JSON.parse(
    await readFile(new URL('../../public/models/toy/config.json', import.meta.url), 'utf8'),
  );
  return {
    ...toy,
    ...{ hidden_size: 2048, group: 16, num_queries: 512, num_resampler_layers: 3, vision_hidden_size: 1152 },
    vocab_size: 151936,
    text_config: {
      ...toy.text_config,
      ...{ hidden_size: 2048, intermediate_size: 11008, num_hidden_layers: 36, max_window_layers: 36 },
      ...{ num_attention_heads: 16, num_key_value_heads: 2, vocab_size: 151936 },
    },
    vision_config: {
      ...toy.vision_config,
      ...{ hidden_size: 1152, intermediate_size: 4304, num_hidden_layers: 27, num_attention_heads: 16 },
      ...{ image_size: 384, patch_size: 14 },
    },
  };
}

/** A repository read in place. */
function storeOf(files: ReturnType<typeof syntheticRepository>): FileStore {
  const open: FileStore['open'] = async (name) => {
    const file = files.get(name);
    return file && { name, size: file.size, read: async (from, to) => Uint8Array.from(file.read(from, to)) };
  };
  return {
    name: 'published',
    open,
    text: async (name) => {
      const file = files.get(name);
      return file && new TextDecoder().decode(file.read(0, file.size));
    },
  };
}

it('says what the published model takes, from its headers', async () => {
  const config = await publishedConfig();
  const checkpoint = await openCheckpoint(storeOf(syntheticRepository(config, new Map())));
  expect(checkpoint.files).toEqual(['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']);
  const parsed = parseConfig(config);
  const plan = planModel(checkpoint, parsed, { num_generations: 8, max_new_tokens: 256 }, 2);
  // The reference's counts: 3,629,878,336 in all, of which 30,480,160 of the tower are not used.
  expect(plan.files).toBe(2 * 3_629_878_336);
  expect(plan.parameters).toBe(3_629_878_336 - (428_225_600 - 397_745_440));
  expect(plan.download).toBe(2 * plan.parameters);
  const bytes = (preset: string, part: string) =>
    plan.plans.find((one) => one.preset === preset)!.parts.find(({ name }) => name === part)!.bytes;
  // 4-bit linear layers with a scale of 4 bytes a block of 32: 5 bits a weight.
  expect(bytes('4-bit', 'language')).toBeCloseTo((2_774_532_096 * 5) / 8, -7);
  expect(bytes('4-bit', 'embedding')).toBe(311_164_928 + (311_164_928 / 32) * 4);
  expect(bytes('f16', 'vision')).toBeGreaterThan(2 * 390e6);
  expect(bytes('f16', 'caches')).toBe(36_864 * (512 + 160 + 8 * 256));
  const totals = plan.plans.map((one) => one.bytes);
  expect([...totals].sort((a, b) => a - b)).toEqual(totals);
  expect(plan.plans[3]!.largest).toEqual({
    name: 'language_model.model.embed_tokens.weight',
    bytes: 4 * 311_164_928,
  });
});
