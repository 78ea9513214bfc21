import { expect, it } from 'vitest';
import { syntheticRepository } from '../../src/cli/synthetic-hub/repository';
import { parseConfig } from '../../src/model/config';
import { planModel } from '../../src/model/model-plan';
import { openCheckpoint } from '../../src/weights/checkpoint';
import { publishedConfig, repositoryStore } from '../support/published-model';

it('says what the published model takes, from its headers', async () => {
  const config = await publishedConfig();
  const checkpoint = await openCheckpoint(repositoryStore(syntheticRepository(config, new Map())));
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
