import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { LORA_TARGETS } from '../../src/blocks/qwen2-graphs';
import { BatchGenerator } from '../../src/generate/batch-generator';
import type { Gpu } from '../../src/gpu/device';
import { readTrainingCheckpoint, writeTrainingCheckpoint } from '../../src/grpo/checkpoint';
import { type GrpoConfig, TINYLLAVA_VIDEO_R1, TRL } from '../../src/grpo/grpo-config';
import { GrpoTrainer, type StepResult } from '../../src/grpo/trainer';
import { LoraAdapter } from '../../src/lora/adapter';
import type { LoraConfig } from '../../src/lora/lora-config';
import { writePeft } from '../../src/lora/peft-files';
import { TinyLlava } from '../../src/model/tiny-llava';
import { AdapterShelf } from '../../src/worker/adapter-shelf';
import { goldenStore } from '../support/golden';
import { sharedGpu } from '../support/shared-gpu';

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

const LORA: LoraConfig = { r: 4, lora_alpha: 8, use_rslora: false, target_modules: LORA_TARGETS };

describe('GRPO trainer', () => {
  let gpu: Gpu;
  let model: TinyLlava;
  beforeAll(async () => {
    gpu = await sharedGpu();
    model = await TinyLlava.load(gpu, await goldenStore(), { backend: 'wgsl' });
  });
  afterAll(() => gpu.close());

  const TEXTS = ['Which way does it move?', 'What is there?', 'How many are red?', 'Which comes first?'];
  const questions = (count = 2) =>
    TEXTS.slice(0, count).map((text) => ({
      prompt_ids: Int32Array.from(model.tokenizer.encode(text)),
    }));

  async function run(steps: number, change: Partial<GrpoConfig> = {}, count = 2): Promise<StepResult[]> {
    const adapter = LoraAdapter.create(gpu, LORA, model.config.text_config);
    adapter.initialise(1);
    const trainer = await GrpoTrainer.create(gpu, model, adapter, { ...config, ...change }, vowels);
    const results: StepResult[] = [];
    for (let i = 0; i < steps; i++) results.push(await trainer.train(questions(count)));
    trainer.destroy();
    adapter.destroy();
    return results;
  }

  it('raises the reward on four fixed questions, by more than chance', async () => {
    const buffers = gpu.memory.buffers;
    const results = await run(10, { learning_rate: 2e-2 }, TEXTS.length);
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

  it('gives the same run from the same seed, also where it goes on from a checkpoint', async () => {
    const [whole, other] = [await run(3), await run(1, { seed: 6 })];
    expect(other[0]!.groups).not.toEqual(whole[0]!.groups);

    const create = (adapter: LoraAdapter, saved: GrpoConfig) =>
      GrpoTrainer.create(gpu, model, adapter, saved, vowels);
    const adapter = LoraAdapter.create(gpu, LORA, model.config.text_config);
    adapter.initialise(1);
    const trainer = await create(adapter, config);
    for (let i = 0; i < 2; i++) await trainer.train(questions());
    const { step, num_tokens } = trainer;
    const state = { step, num_tokens, config: { ...config, kl_clamp: TRL.kl_clamp } };
    const files = await writeTrainingCheckpoint(adapter, trainer.optimiser, state, 'golden');
    trainer.destroy();
    adapter.destroy();

    const bytes = (name: keyof typeof files) => {
      const file = files[name];
      return typeof file === 'string' ? new TextEncoder().encode(file) : file;
    };
    const read = async (name: keyof typeof files) => bytes(name);
    const saved = await readTrainingCheckpoint<GrpoConfig>(gpu, read, model.config.text_config);
    expect(saved.config).toEqual(state.config);
    const resumed = await create(saved.adapter, config);
    resumed.restore(saved);
    const { metrics, groups } = await resumed.train(questions());
    expect(groups).toEqual(whole[2]!.groups);
    const timeless = { step_time: 0, tokens_per_second: 0 };
    expect({ ...metrics, ...timeless }).toEqual({ ...whole[2]!.metrics, ...timeless });
    resumed.destroy();
    saved.adapter.destroy();

    const lacking = async (name: keyof typeof files) =>
      name === 'optimizer.safetensors' ? bytes('adapter_model.safetensors') : bytes(name);
    await expect(readTrainingCheckpoint(gpu, lacking, model.config.text_config)).rejects.toThrow(
      'optimizer.safetensors lacks m.language_model.',
    );
    const strange = async (name: keyof typeof files) =>
      name === 'trainer_state.json' ? new TextEncoder().encode('{}') : bytes(name);
    await expect(readTrainingCheckpoint(gpu, strange, model.config.text_config)).rejects.toThrow(
      /no checkpoint of a run/,
    );
  });

  it('switches between adapters and the base without uploading or compiling anything', async () => {
    const text = model.config.text_config;
    const shelf = new AdapterShelf();
    const session = { gpu, model };
    const load = async (name: string, lora: LoraConfig) => {
      const made = LoraAdapter.create(gpu, lora, text);
      made.initialise(3);
      // B is zero at the start, and an adapter of that says nothing.
      for (const [i, [tensor, [rows, width]]] of [...made.shapes].entries())
        if (tensor.endsWith('lora_B.weight'))
          made.set(
            tensor,
            Float32Array.from({ length: rows * width }, (_, j) => 0.1 * Math.sin(i + 7 * j)),
          );
      const files = await writePeft(made, 'base');
      made.destroy();
      const bytes = {
        'adapter_config.json': new TextEncoder().encode(files['adapter_config.json']),
        'adapter_model.safetensors': files['adapter_model.safetensors'],
      };
      return (await shelf.load(session, bytes, { name })).adapter;
    };
    const generator = await BatchGenerator.create(gpu, model);
    const settings = { temperature: 0, top_k: 0, top_p: 1, seed: 1 };
    const values = async (adapter: string) => {
      const steps = await shelf.decoder(session, adapter);
      const prompts = [{ ...questions()[0]!, question: 0 }];
      const answers = [{ sample: 0, settings }];
      const logps: number[] = [];
      for await (const drawn of generator.generate({ prompts, answers, max_new_tokens: 3, steps }))
        for (const { record } of drawn) logps.push(record.id, record.logp);
      return logps;
    };
    const plain = await values('');
    const some = { ...LORA, target_modules: ['self_attn.q_proj', 'mlp.down_proj'] as const };
    // Each by itself, before the other is there.
    const alone: number[][] = [];
    for (const lora of [LORA, some]) {
      const adapter = await load('alone', lora);
      alone.push(await values(adapter));
      shelf.unload(adapter);
    }
    const [a, b] = [await load('a', LORA), await load('b', some)];
    // What a step is recorded into is made anew for another adapter: from one round on it is the same.
    for (const adapter of [a, b, '']) await values(adapter);
    const { bytes, buffers } = gpu.memory;
    const compiled = vi.spyOn(gpu.device, 'createComputePipelineAsync');
    const { queue } = gpu.device;
    const written = vi.spyOn(queue, 'writeBuffer');
    const made = vi.spyOn(gpu.device, 'createBuffer');
    const inTurns: number[][] = [];
    for (const adapter of [a, '', b, a, b, '']) inTurns.push(await values(adapter));
    expect(compiled).not.toHaveBeenCalled();
    const labels = [
      ...written.mock.calls.map(([{ label }]) => label),
      ...made.mock.calls.map(([to]) => to.label),
    ];
    expect(labels.length).toBeGreaterThan(10);
    expect(labels.filter((label) => label?.includes('lora_'))).toEqual([]);
    expect([gpu.memory.bytes, gpu.memory.buffers]).toEqual([bytes, buffers]);
    for (const spy of [compiled, written, made]) spy.mockRestore();
    expect(inTurns).toEqual([alone[0], plain, alone[1], alone[0], alone[1], plain]);
    expect(new Set([plain, ...alone].map(String)).size).toBe(3);
    shelf.clear();
    generator.destroy();
  });

  it('leaves out an update whose gradient is not finite, and goes on', async () => {
    const adapter = LoraAdapter.create(gpu, LORA, model.config.text_config);
    adapter.initialise(1);
    let large = true;
    const trainer = await GrpoTrainer.create(
      gpu,
      model,
      adapter,
      {
        ...config,
        scale_rewards: 'none',
        num_iterations: 2,
        steps_per_generation: 2,
        mask_truncated_completions: false,
        temperature: 0.7,
        top_k: 20,
      },
      // A gradient of these has a square beyond float32.
      (texts) => texts.map((_, i) => (large ? 1e30 * (i % 2) : i)),
    );
    const before = await adapter.read();
    const first = await trainer.train(questions());
    expect(first.metrics.skipped_updates).toBe(4);
    expect(first.metrics.grad_norm).toBeUndefined();
    expect(await adapter.read()).toEqual(before);
    expect(trainer.optimiser.step).toBe(0);
    large = false;
    const second = await trainer.train(questions());
    expect(second.metrics.skipped_updates).toBe(0);
    expect(trainer.optimiser.step).toBe(4);
    expect(trainer.step).toBe(2);
    expect(second.metrics.grad_norm).toBeGreaterThan(0);
    expect(Object.values(second.metrics).every(Number.isFinite)).toBe(true);
    expect([...(await adapter.read()).values()].every((values) => values.every(Number.isFinite))).toBe(true);
    // Sampler and trainer agree on what was drawn, at the temperature and before truncation.
    expect(second.metrics['sampling/sampling_logp_difference/max']).toBeLessThan(1e-4);
    // The later updates meet a policy that has moved from the one that drew the answers.
    expect(second.metrics['clip_ratio/region_mean']).toBeGreaterThan(0);
    trainer.destroy();
    adapter.destroy();
  });
});
