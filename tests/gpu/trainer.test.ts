import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LORA_TARGETS } from '../../src/blocks/qwen2-graphs';
import { type Gpu, openGpu } from '../../src/gpu/device';
import { type GrpoConfig, TINYLLAVA_VIDEO_R1 } from '../../src/grpo/grpo-config';
import { GrpoTrainer, type StepResult } from '../../src/grpo/trainer';
import { LoraAdapter } from '../../src/lora/adapter';
import { TinyLlava } from '../../src/model/tiny-llava';
import { goldenStore } from '../support/golden';

/** Rewards vowels: something that a model with random weights can learn in a few steps. */
const vowels = (texts: readonly string[]) =>
  texts.map((text) => (text.match(/[aeiou]/g)?.length ?? 0) / Math.max(1, text.length));

const config: GrpoConfig = {
  ...TINYLLAVA_VIDEO_R1,
  num_generations: 8,
  max_completion_length: 10,
  learning_rate: 1e-2,
  lr_scheduler_type: 'constant',
  max_steps: 10,
  seed: 5,
};

describe('GRPO trainer', () => {
  let gpu: Gpu;
  let model: TinyLlava;
  beforeAll(async () => {
    gpu = await openGpu();
    model = await TinyLlava.load(gpu, await goldenStore(), { backend: 'wgsl' });
  });
  afterAll(() => gpu.close());

  const questions = () =>
    ['Which way does it move?', 'What is there?'].map((text) => ({
      prompt_ids: Int32Array.from(model.tokenizer.encode(text)),
    }));

  async function run(steps: number, change: Partial<GrpoConfig> = {}): Promise<StepResult[]> {
    const adapter = LoraAdapter.create(
      gpu,
      { r: 4, lora_alpha: 8, use_rslora: false, target_modules: LORA_TARGETS },
      model.config.text_config,
    );
    adapter.initialise(1);
    const trainer = await GrpoTrainer.create(gpu, model, adapter, { ...config, ...change }, vowels);
    const results: StepResult[] = [];
    for (let i = 0; i < steps; i++) results.push(await trainer.train(questions()));
    trainer.destroy();
    adapter.destroy();
    return results;
  }

  it('raises the reward on fixed questions, by more than chance', async () => {
    const buffers = gpu.memory.buffers;
    const results = await run(10);
    const rewards = (part: StepResult[]) =>
      part.flatMap(({ groups }) => groups.flatMap((group) => group.map(({ reward }) => reward)));
    const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    const variance = (values: number[]) =>
      values.reduce((sum, x) => sum + (x - mean(values)) ** 2, 0) / (values.length - 1) / values.length;
    const [early, late] = [rewards(results.slice(0, 3)), rewards(results.slice(-3))];
    const error = Math.sqrt(variance(early) + variance(late));
    expect((mean(late) - mean(early)) / error).toBeGreaterThan(3.1);
    for (const { metrics } of results) {
      expect(metrics.skipped_updates).toBe(0);
      // Sampler and trainer agree on what was drawn.
      expect(metrics['sampling/sampling_logp_difference/max']).toBeLessThan(1e-4);
    }
    expect(results[0]!.metrics.kl).toBeLessThan(1e-6);
    expect(results.at(-1)!.metrics.kl).toBeGreaterThan(1e-4);
    // What the language model keeps for its longest pass may have grown; nothing else stays.
    expect(gpu.memory.buffers - buffers).toBeLessThan(20);
  });

  it('gives the same run from the same seed', async () => {
    const [a, b, other] = [await run(2), await run(2), await run(1, { seed: 6 })];
    const { step_time: _, ...first } = a[1]!.metrics;
    const { step_time: __, ...second } = b[1]!.metrics;
    expect(second).toEqual(first);
    expect(other[0]!.groups).not.toEqual(a[0]!.groups);
  });
});
