import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LORA_TARGETS } from '../../src/blocks/qwen2-graphs';
import { type Gpu, openGpu } from '../../src/gpu/device';
import { type GrpoConfig, TINYLLAVA_VIDEO_R1 } from '../../src/grpo/grpo-config';
import { planMemory } from '../../src/grpo/memory-plan';
import { GrpoTrainer } from '../../src/grpo/trainer';
import { LoraAdapter } from '../../src/lora/adapter';
import { TinyLlava } from '../../src/model/tiny-llava';
import { goldenStore } from '../support/golden';

const lora = { r: 6, lora_alpha: 8, use_rslora: false, target_modules: LORA_TARGETS };
const grpo: GrpoConfig = {
  ...TINYLLAVA_VIDEO_R1,
  num_generations: 5,
  questions_per_step: 2,
  max_completion_length: 24,
  seed: 2,
};

describe('the memory plan', () => {
  let gpu: Gpu;
  let model: TinyLlava;
  beforeAll(async () => {
    gpu = await openGpu();
    model = await TinyLlava.load(gpu, await goldenStore(), { backend: 'wgsl' });
  });
  afterAll(() => gpu.close());

  it('is within 10 % of what a step takes at most, and takes nothing itself', async () => {
    const { bytes, buffers } = gpu.memory;
    const prompt_rows = 90;
    const plan = await planMemory({ grpo, lora, prompt_rows }, { gpu, model });
    expect([gpu.memory.bytes, gpu.memory.buffers]).toEqual([bytes, buffers]);
    gpu.memory.resetPeak();
    const adapter = LoraAdapter.create(gpu, lora, model.config.text_config);
    adapter.initialise(1);
    const trainer = await GrpoTrainer.create(gpu, model, adapter, grpo, (texts) => texts.map((_, i) => i));
    const questions = Array.from({ length: 2 }, (_, q) => ({
      prompt_ids: Int32Array.from({ length: prompt_rows }, (_, i) => 3 * i + q),
    }));
    const { groups } = await trainer.train(questions);
    // Random weights hardly ever end an answer.
    expect(groups.flat().every(({ terminated }) => !terminated)).toBe(true);
    const ratio = plan.bytes / gpu.memory.peakBytes;
    expect(ratio).toBeGreaterThan(0.9);
    expect(ratio).toBeLessThan(1.1);
    // Most of the tiny model's memory is not its weights, so the ratio says something.
    const grown = gpu.memory.peakBytes - bytes;
    expect(grown).toBeGreaterThan(0.3 * gpu.memory.peakBytes);
    expect(plan.parts.find(({ name }) => name === 'weights')!.bytes).toBe(bytes);
    for (const part of plan.parts) expect(part.bytes, part.name).toBeGreaterThan(0);
    trainer.destroy();
    adapter.destroy();
  });
});
