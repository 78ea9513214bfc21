import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeToyClip, makeToyQuestions, ToyRng } from '../../src/data/toy';
import { makeToyTrace } from '../../src/data/toy/traces';
import type { Gpu } from '../../src/gpu/device';
import { ColdStartTrainer, demonstrate, demonstrateSegments } from '../../src/grpo/cold-start';
import { TOY } from '../../src/grpo/grpo-config';
import { LoraAdapter } from '../../src/lora/adapter';
import { renderPrompt } from '../../src/model/prompt';
import { TinyLlava } from '../../src/model/tiny-llava';
import { goldenStore } from '../support/golden';
import { sharedGpu } from '../support/shared-gpu';

describe('cold start', () => {
  let gpu: Gpu;
  let model: TinyLlava;
  let adapter: LoraAdapter;
  beforeAll(async () => {
    gpu = await sharedGpu();
    model = await TinyLlava.load(gpu, await goldenStore(), { backend: 'wgsl' });
    const lora = {
      r: 4,
      lora_alpha: 8,
      use_rslora: false,
      target_modules: ['mlp.up_proj', 'self_attn.v_proj'] as const,
    };
    adapter = LoraAdapter.create(gpu, lora, model.config.text_config);
  });
  afterAll(() => gpu.close());

  /** Traces of the toy world, among them one with a part that is read but not learned. */
  const rows = () =>
    (['careful', 'corrupted'] as const).map((style, i) => {
      const random = new ToyRng(i);
      const question = makeToyQuestions(makeToyClip(i), 1)[0]!;
      const { segments } = makeToyTrace(question, style, random);
      const prompt_ids = Int32Array.from(model.tokenizer.encodePrompt(renderPrompt(question.problem)));
      return { prompt_ids, traces: [demonstrateSegments(model.tokenizer, segments)] };
    });

  it('follows the gradient of the cross-entropy, and the loss falls', async () => {
    adapter.initialise(3);
    const config = { ...TOY, learning_rate: 1e-2, max_grad_norm: 0 };
    const trainer = await ColdStartTrainer.create(gpu, model, adapter, config);
    const demonstrations = rows();
    expect(demonstrations[1]!.traces[0]!.counts).toContain(false);
    const before = await adapter.read();
    const first = await trainer.train(demonstrations);
    // AdamW's first moments are a tenth of the gradients.
    const { m } = await trainer.optimiser.read();
    // Along one B and one A, which has no gradient while B is 0.
    const name = 'language_model.model.layers.1.mlp.up_proj.lora_B.weight';
    const gradient = Float64Array.from(m.get(name)!, (x) => 10 * x);
    const length = Math.hypot(...gradient);
    const frozen = await ColdStartTrainer.create(gpu, model, adapter, { ...config, learning_rate: 1e-30 });
    const at = async (step: number) => {
      for (const [key, values] of before)
        adapter.set(key, key === name ? values.map((x, i) => x + (step * gradient[i]!) / length) : values);
      return (await frozen.train(demonstrations)).loss!;
    };
    const slope = ((await at(0.02)) - (await at(-0.02))) / 0.04;
    // float32 log-probs, averaged: 1e-6 by the step, and the third derivative.
    expect(Math.abs(slope - length)).toBeLessThan(2e-3 * length + 5e-5);
    expect(await at(0)).toBeCloseTo(first.loss!, 5);

    const losses: number[] = [];
    for (let step = 0; step < 6; step++) losses.push((await trainer.train(demonstrations)).loss!);
    for (let i = 1; i < losses.length; i++) expect(losses[i]).toBeLessThan(losses[i - 1]!);
    expect(losses.at(-1)).toBeLessThan(losses[0]! - 0.2);
    frozen.destroy();
    trainer.destroy();
  });

  it('takes the original’s conversations, and says where nothing can be learned', async () => {
    const { tokenizer } = model;
    const question = 'Which?\nA. x\nB. y';
    const { prompt_ids, traces } = demonstrate(
      tokenizer,
      question,
      '<think> x </think> <answer> A </answer>',
    );
    expect([...prompt_ids]).toEqual([...tokenizer.encodePrompt(renderPrompt(question))]);
    expect(tokenizer.decode([...traces[0]!.tokens])).toBe(' <think> x </think> <answer> A </answer>');
    expect(traces[0]!.tokens.at(-1)).toBe(tokenizer.eos_token_id);
    expect(() => demonstrate(tokenizer, question, 'a ASSISTANT: b')).toThrow(/separator/);
    const trainer = await ColdStartTrainer.create(gpu, model, adapter, TOY);
    const none = { prompt_ids, traces: [{ tokens: [1, 2], counts: [false, false] }] };
    await expect(trainer.train([none])).rejects.toThrow(/nothing to learn/);
    trainer.destroy();
  });
});
