import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LORA_TARGETS } from '../../src/blocks/qwen2-graphs';
import { WgslRuntime } from '../../src/blocks/wgsl/wgsl-runtime';
import type { Gpu } from '../../src/gpu/device';
import { type GpuTensor, readF32 } from '../../src/gpu/tensor';
import { policyBatch } from '../../src/grpo/policy-batch';
import { PolicyGradient } from '../../src/grpo/policy-gradient';
import { type LossConfig, policyLoss } from '../../src/grpo/policy-loss';
import { LoraAdapter } from '../../src/lora/adapter';
import { LanguageModel } from '../../src/model/language-model';
import { normals, seeded } from '../support/attention-cases';
import { loadGoldenModel, relativeError } from '../support/golden-model';
import { sharedGpu } from '../support/shared-gpu';

type Values = Map<string, Float32Array<ArrayBuffer>>;

describe('the whole policy gradient', () => {
  let gpu: Gpu;
  let language: LanguageModel;
  beforeAll(async () => {
    gpu = await sharedGpu();
    const { config, weights } = await loadGoldenModel(gpu);
    language = await LanguageModel.create(gpu, WgslRuntime.create(gpu), config, weights, {
      max_positions: 256,
    });
  });
  afterAll(() => gpu.close());

  /** A random group: a prompt's embeddings and answers of random lengths, one token among them. */
  function randomGroup(seed: number, G: number): { prompt: GpuTensor; answers: number[][] } {
    const random = seeded(seed);
    const ids = (count: number) => Array.from({ length: count }, () => Math.floor(random() * 900));
    const prompt = language.embedPrompt(Int32Array.from(ids(1 + Math.floor(random() * 40))));
    return {
      prompt,
      answers: Array.from({ length: G }, (_, g) => ids(g === 1 ? 1 : 2 + Math.floor(random() * 30))),
    };
  }

  /** Fills A and B with numbers of the size that training gives them. */
  function randomise(adapter: LoraAdapter, seed: number): void {
    const random = seeded(seed);
    for (const [name, [rows, width]] of adapter.shapes)
      adapter.set(
        name,
        Float32Array.from(normals(random, rows * width, name.includes('lora_A') ? 0.1 : 0.05)),
      );
  }

  async function gradientsOf(policy: PolicyGradient): Promise<Values> {
    const values: Values = new Map();
    for (const [name, tensor] of policy.gradients) values.set(name, await readF32(gpu, tensor));
    return values;
  }

  it.each([
    { r: 3, use_rslora: true, loss_type: 'grpo', level: 'token', keep_bytes: 0, temperature: 1 },
    { r: 5, use_rslora: false, loss_type: 'dapo', level: 'sequence', keep_bytes: 2 ** 30, temperature: 0.7 },
  ] as const)(
    'equals central differences: rank $r, $loss_type, $level, temperature $temperature',
    async (given) => {
      const { r, use_rslora, loss_type, level, keep_bytes, temperature } = given;
      const config: LossConfig = {
        loss_type,
        beta: 0.1,
        epsilon: 0.2,
        epsilon_high: 0.2,
        importance_sampling_level: level,
        kl_clamp: 100,
        max_completion_length: 40,
      };
      const { text_config } = language.config;
      const adapter = LoraAdapter.create(
        gpu,
        { r, lora_alpha: 8, use_rslora, target_modules: LORA_TARGETS },
        text_config,
      );
      randomise(adapter, 7);
      const policy = await PolicyGradient.create(gpu, language, adapter, { keep_bytes, temperature });
      const { prompt, answers } = randomGroup(11, 4);
      const batch = policyBatch(prompt.shape[0]!, answers);
      const { logps: ref_logps } = await policy.reference(batch, prompt);
      const random = seeded(5);
      // Ratios within the clipping range on both sides of 1: a kink would not be differentiable.
      const start = await policy.forward(batch, prompt);
      const old_logps = Float64Array.from(start.logps, (x) => x + 0.1 * (random() - 0.5));
      const loss = (logps: ArrayLike<number>) =>
        policyLoss(
          { logps, old_logps, ref_logps, offsets: batch.offsets, advantages: [1.2, -0.7, 0.4, -1] },
          config,
        );
      await policy.backward(start, Float32Array.from(loss(start.logps).d_logps));
      start.destroy();
      const gradients = await gradientsOf(policy);
      const weights = await adapter.read();
      const at = async (direction: Values, step: number) => {
        for (const [name, values] of weights)
          adapter.set(
            name,
            values.map((x, i) => x + step * direction.get(name)![i]!),
          );
        const forward = await policy.forward(batch, prompt);
        forward.destroy();
        return loss(forward.logps).loss;
      };
      // Differences lose 1e-7, the noise of float32 log-probs in a loss, by twice the step, and gain the third derivative:
      // about 1e-4 in all, of slopes up to 1.
      const step = 4e-3;
      for (let trial = 0; trial < 4; trial++) {
        const direction: Values = new Map();
        let length = 0;
        for (const [name, { length: n }] of weights) {
          const values = Float32Array.from(normals(random, n));
          direction.set(name, values);
          length += values.reduce((sum, x) => sum + x * x, 0);
        }
        let slope = 0;
        for (const [name, values] of direction) {
          for (let i = 0; i < values.length; i++) values[i]! /= Math.sqrt(length / 40);
          const gradient = unpad(
            gradients.get(name)!,
            adapter.shapes.get(name)!,
            adapter.get(name).shape[1]!,
          );
          slope += values.reduce((sum, x, i) => sum + x * gradient[i]!, 0);
        }
        const difference = ((await at(direction, step)) - (await at(direction, -step))) / (2 * step);
        expect(Math.abs(difference - slope)).toBeLessThan(1e-3 * Math.max(0.1, Math.abs(slope)));
      }
      policy.destroy();
      adapter.destroy();
      prompt.buffer.destroy();
    },
  );

  it.each([3, 4])(
    'of a random tree equals that with the prompt repeated for every answer, seed %d',
    async (seed) => {
      const adapter = LoraAdapter.create(
        gpu,
        { r: 4, lora_alpha: 8, use_rslora: false, target_modules: LORA_TARGETS },
        language.config.text_config,
      );
      randomise(adapter, seed);
      const policy = await PolicyGradient.create(gpu, language, adapter);
      const { prompt, answers } = randomGroup(seed, 5);
      const batch = policyBatch(prompt.shape[0]!, answers);
      const d_logps = Float32Array.from(normals(seeded(seed), batch.tokens.length, 0.1));
      const shared = await policy.forward(batch, prompt);
      await policy.backward(shared, d_logps);
      shared.destroy();
      const wanted = await gradientsOf(policy);
      policy.clearGradients();
      for (const [g, answer] of answers.entries()) {
        const alone = policyBatch(prompt.shape[0]!, [answer]);
        const forward = await policy.forward(alone, prompt);
        const from = batch.offsets[g]!;
        for (const [i, logp] of forward.logps.entries()) expect(logp).toBeCloseTo(shared.logps[from + i]!, 4);
        await policy.backward(forward, d_logps.slice(from, from + answer.length));
        forward.destroy();
      }
      for (const [name, values] of await gradientsOf(policy))
        expect(relativeError(values, wanted.get(name)!), name).toBeLessThan(1e-5);
      policy.destroy();
      adapter.destroy();
      prompt.buffer.destroy();
    },
  );
});

function unpad(values: Float32Array, [rows, width]: readonly [number, number], stride: number): Float64Array {
  return Float64Array.from(
    { length: rows * width },
    (_, i) => values[Math.floor(i / width) * stride + (i % width)]!,
  );
}
