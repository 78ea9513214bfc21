import { describe, expect, it } from 'vitest';
import { LORA_TARGETS } from '../../src/blocks/qwen2-graphs';
import { syntheticRepository } from '../../src/cli/synthetic-hub/repository';
import { createTensor, type GpuTensor } from '../../src/gpu/tensor';
import { TINYLLAVA_VIDEO_R1 } from '../../src/grpo/grpo-config';
import { planMemory } from '../../src/grpo/memory-plan';
import { parseConfig } from '../../src/model/config';
import { planModel } from '../../src/model/model-plan';
import { precisionLine, storedPlan } from '../../src/model/plan-parts';
import { FULL_PRECISION, parsePrecisionLine, presetPrecision } from '../../src/model/precision';
import { expectedTensors } from '../../src/model/tensor-names';
import { TinyLlava } from '../../src/model/tiny-llava';
import { openCheckpoint } from '../../src/weights/checkpoint';
import { planReads } from '../../src/weights/plan-reads';
import { planTraining } from '../../src/worker/plan-training';
import { nodeCountingGpu } from '../support/counting';
import { goldenStore } from '../support/golden';
import { publishedConfig, repositoryStore } from '../support/published-model';

/** A desktop GPU. */
const OFFER = { f16: true, largest: 2 ** 31 };

it('says what the published model takes, from its headers', async () => {
  const config = await publishedConfig();
  const checkpoint = await openCheckpoint(repositoryStore(syntheticRepository(config, new Map())));
  expect(checkpoint.files).toEqual(['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']);
  const parsed = parseConfig(config);
  const plan = planModel(checkpoint, parsed, { num_generations: 8, max_new_tokens: 256 }, OFFER);
  // The reference's counts: 3,629,878,336 in all, of which 30,480,160 of the tower are not used.
  expect(plan.files).toBe(2 * 3_629_878_336);
  expect(plan.parameters).toBe(3_629_878_336 - (428_225_600 - 397_745_440));
  expect(plan.download).toBe(2 * plan.parameters);
  expect(plan.weight_files.map(({ name }) => name)).toEqual(checkpoint.files);
  expect(plan.weight_files.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(plan.files);
  expect(plan.weight_files.reduce((sum, { used }) => sum + used, 0)).toBe(plan.download);
  // What is read is that alone: nothing of the last vision layer, the pooling head, the post-norm.
  const { used } = expectedTensors(parsed);
  const reads = planReads(
    checkpoint,
    new Map([...used].map(([name, shape]) => [name, { shape, dtype: 'f32' } as GpuTensor])),
  );
  const sizes = reads.map(({ start, end }) => end - start);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(plan.download);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(4 * 2 ** 20);
  expect(new Set(reads.flatMap(({ pieces }) => pieces.map(({ name }) => name)))).toEqual(
    new Set(used.keys()),
  );
  const bytes = (preset: string, part: string) =>
    plan.plans.find((one) => one.preset === preset)!.parts.find(({ name }) => name === part)!.bytes;
  // 4-bit linear layers with a scale of 4 bytes a block of 32: 5 bits a weight.
  expect(bytes('4-bit', 'language')).toBeCloseTo((2_774_532_096 * 5) / 8, -7);
  expect(bytes('4-bit', 'embedding')).toBe(311_164_928 + (311_164_928 / 32) * 4);
  expect(bytes('f16', 'vision')).toBeGreaterThan(2 * 390e6);
  expect(bytes('f16', 'caches')).toBe(36_864 * (512 + 160 + 8 * 256));
  // Decoding reads linear layers, head, norms and biases, and half of its own keys and values.
  const small = 36 * (2 * 2048 + 2048 + 2 * 256) + 2048;
  expect(plan.plans[0]!.tokenBytes).toBe(
    bytes('4-bit', 'language') + bytes('4-bit', 'embedding') + 4 * small + 36_864 * (512 + 160 + 128),
  );
  const without = planModel(
    checkpoint,
    parsed,
    { num_generations: 8, max_new_tokens: 256 },
    { ...OFFER, f16: false },
  );
  const caches = without.plans[0]!.parts.find(({ name }) => name === 'caches')!.bytes;
  expect(caches).toBe(2 * bytes('4-bit', 'caches'));
  const totals = plan.plans.map((one) => one.bytes);
  expect([...totals].sort((a, b) => a - b)).toEqual(totals);
  expect(plan.plans[3]!.largest).toEqual({
    name: 'language_model.model.embed_tokens.weight',
    bytes: 4 * 311_164_928,
  });
});

it('adds up any choice of precisions, and offers the best that one buffer takes', async () => {
  const config = await publishedConfig();
  const checkpoint = await openCheckpoint(repositoryStore(syntheticRepository(config, new Map())));
  const size = { num_generations: 8, max_new_tokens: 256 };
  const plan = planModel(checkpoint, parseConfig(config), size, OFFER);
  for (const { preset, ...named } of plan.plans)
    expect(storedPlan(plan.pieces, named.precision), preset).toEqual(named);
  const own = storedPlan(plan.pieces, { language: 'q4', embedding: 'q4', vision: 'q8', connector: 'f32' });
  const bytes = (name: string) => own.parts.find((part) => part.name === name)!.bytes;
  expect(bytes('embedding')).toBe(311_164_928 / 2 + (311_164_928 / 32) * 4);
  expect(own.parts.reduce((sum, part) => sum + part.bytes, 0)).toBe(own.bytes);
  expect(own.bytes - own.disk).toBe(bytes('caches'));
  expect(plan.offered).toEqual(presetPrecision('4-bit', true));
  expect(plan.usual).toEqual(plan.offered);

  // The table of the tokens takes 311 MB in 8 bits, and 156 MB in 4.
  const small = planModel(checkpoint, parseConfig(config), size, { f16: true, largest: 2 ** 28 });
  expect(small.offered).toEqual({ ...plan.offered, embedding: 'q4' });
  expect(small.usual).toEqual(plan.offered);
  expect(storedPlan(small.pieces, small.offered).largest.bytes).toBe(311_164_928 / 2);
  // WebGPU's default binding is smaller yet: that part is as it would be, and refused.
  const least = planModel(checkpoint, parseConfig(config), size, { f16: true, largest: 2 ** 27 });
  expect(least.offered).toEqual(plan.offered);
});

it('takes 8 bits for what would be halves where shaders have none', () => {
  expect(presetPrecision('4-bit', false)).toEqual({
    language: 'q4',
    embedding: 'q8',
    vision: 'q8',
    connector: 'q8',
  });
  expect(parsePrecisionLine(precisionLine(presetPrecision('8-bit', true)))).toEqual(
    presetPrecision('8-bit', true),
  );
  expect(parsePrecisionLine('language q4, embedding q9, vision f16, connector f16')).toBeUndefined();
});

it('keeps nothing of a video but its visual tokens', async () => {
  const gpu = nodeCountingGpu();
  const model = await TinyLlava.load(gpu, await goldenStore(), { backend: 'wgsl' });
  const side = model.config.vision_config.image_size;
  const left = async (frames: number) => {
    const pixels = createTensor(gpu, [frames, 3, side, side], 'f32', 'pixels');
    const visual = await model.encodeVideo(pixels);
    pixels.buffer.destroy();
    const bytes = gpu.memory.bytes - visual.buffer.size;
    visual.buffer.destroy();
    return bytes;
  };
  const loaded = gpu.memory.bytes;
  const few = await left(1);
  expect(await left(64)).toBe(few);
  // What compiling left between the operators is freed, too.
  expect(few).toBeLessThanOrEqual(loaded);
  await model.destroy();
});

describe('the plan of training a model that is not loaded', () => {
  const lora = { r: 4, lora_alpha: 8, use_rslora: false, target_modules: LORA_TARGETS };
  const grpo = { ...TINYLLAVA_VIDEO_R1, num_generations: 3, max_completion_length: 24 };

  it('is that of the Train page for the model once it is loaded', async () => {
    const gpu = nodeCountingGpu();
    const model = await TinyLlava.load(gpu, await goldenStore(), { backend: 'wgsl' });
    const { bytes, largestBuffer } = await planMemory(
      { grpo, lora, prompt_rows: model.config.connector.num_queries + 160 },
      { gpu, model },
    );
    const told = await planTraining(nodeCountingGpu(), model.config, FULL_PRECISION, { grpo, lora });
    expect(told.largestBuffer).toBe(largestBuffer);
    // Beside the weights, a loaded model has its work buffers.
    expect(told.bytes / bytes).toBeGreaterThan(0.9);
    expect(told.bytes).toBeLessThanOrEqual(bytes);
    const longer = { ...grpo, max_completion_length: 240 };
    const more = await planTraining(nodeCountingGpu(), model.config, FULL_PRECISION, { grpo: longer, lora });
    expect(more.bytes).toBeGreaterThan(told.bytes);
  });
});
