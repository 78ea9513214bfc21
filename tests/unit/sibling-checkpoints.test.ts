import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { syntheticRepository } from '../../src/cli/synthetic-hub/repository';
import { parseConfig } from '../../src/model/config';
import { planModel } from '../../src/model/model-plan';
import { TinyLlava } from '../../src/model/tiny-llava';
import { openCheckpoint } from '../../src/weights/checkpoint';
import { nodeCountingGpu } from '../support/counting';
import { repositoryStore } from '../support/published-model';

// The published checkpoints of the same classes, by what their config.json says alone (small dims, the fields that
// differ between them as published).
const TOY = new URL('../../public/models/toy/', import.meta.url);
const read = (name: string) => readFile(new URL(name, TOY));

/** Fields by which the siblings differ, and what follows from them. */
const SIBLINGS: [string, Record<string, unknown>, { frames: number; queries: number; groups: number }][] = [
  [
    'TinyLLaVA-Video-R1',
    // Fields beside those of the toy model, as far as the published file is known.
    {
      _name_or_path: 'Zhang199/TinyLLaVA-Video-Coldstart_NextQA_16',
      cache_dir: null,
      connector_type: 'groupresampler',
      group: 16,
      num_queries: 512,
      num_resampler_layers: 3,
      resampler_hidden_size: 768,
      image_aspect_ratio: 'square',
      vision_feature_layer: -2,
      vision_feature_select_strategy: 'patch',
      vision_model_name_or_path: 'google/siglip-so400m-patch14-384',
      vision_model_name_or_path2: '',
      tokenizer_use_fast: false,
      torch_dtype: 'bfloat16',
    },
    { frames: 16, queries: 512, groups: 16 },
  ],
  [
    'TinyLLaVA-Video-Coldstart_NextQA_16',
    { connector_type: 'groupresampler', group: 16, num_queries: 512 },
    { frames: 16, queries: 512, groups: 16 },
  ],
  [
    'TinyLLaVA-Video-Qwen2.5-3B-Group-16-512',
    {
      connector_type: 'groupresampler',
      group: 16,
      num_queries: 512,
      vision_feature_layer: null,
      vision_feature_select_strategy: null,
    },
    { frames: 16, queries: 512, groups: 16 },
  ],
  [
    'TinyLLaVA-Video-Qwen2.5-3B-Group-1fps-512',
    { connector_type: 'groupresampler', group: 16, num_queries: 512, num_resampler_layers: 3 },
    { frames: 16, queries: 512, groups: 16 },
  ],
  [
    'TinyLLaVA-Video-Qwen2.5-3B-Naive-16-512',
    { connector_type: 'naiveresampler', group: null, num_queries: 512 },
    { frames: 16, queries: 512, groups: 1 },
  ],
];

it.each(SIBLINGS)('%s is loaded by its config alone', async (name, fields, expected) => {
  const config = { ...JSON.parse(String(await read('config.json'))), ...fields };
  const files = ['vocab.json', 'merges.txt', 'tokenizer_config.json'];
  const others = new Map(await Promise.all(files.map(async (file) => [file, await read(file)] as const)));
  const store = repositoryStore(syntheticRepository(config, others, { shardBytes: 3e6 }), name);
  const checkpoint = await openCheckpoint(store);
  const plan = planModel(
    checkpoint,
    parseConfig(checkpoint.config),
    { num_generations: 1, max_new_tokens: 64 },
    { f16: false, largest: 2 ** 31 },
  );
  const gpu = nodeCountingGpu();
  const model = await TinyLlava.load(gpu, checkpoint, { backend: 'wgsl' });
  expect(model.parameters).toBe(plan.parameters);
  expect(model.config.num_frames).toBe(expected.frames);
  expect(model.config.connector).toMatchObject({
    num_queries: expected.queries,
    group: expected.groups,
    num_latents: expected.queries / expected.groups,
  });
  expect(model.weights.bytes).toBe(plan.plans.find(({ preset }) => preset === 'f32')!.disk);
  await model.destroy();
});
