import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LORA_TARGETS } from '../../src/blocks/qwen2-graphs';
import { WgslRuntime } from '../../src/blocks/wgsl/wgsl-runtime';
import { type Gpu, openGpu } from '../../src/gpu/device';
import { type GpuTensor, readF32, uploadTensor, writeTensor } from '../../src/gpu/tensor';
import { AdamW, DEFAULT_ADAMW } from '../../src/grpo/adamw';
import { policyBatch } from '../../src/grpo/policy-batch';
import { PolicyGradient } from '../../src/grpo/policy-gradient';
import { type LossConfig, policyLoss } from '../../src/grpo/policy-loss';
import { LoraAdapter } from '../../src/lora/adapter';
import { LanguageModel } from '../../src/model/language-model';
import meta from '../golden/grpo.json';
import { loadGolden } from '../support/golden';
import { loadGoldenModel, relativeError } from '../support/golden-model';

type Golden = Awaited<ReturnType<typeof loadGolden>>;

const ORIGINAL: LossConfig = {
  loss_type: 'grpo',
  beta: meta.loss.beta,
  epsilon: 0.2,
  epsilon_high: 0.2,
  importance_sampling_level: 'token',
  kl_clamp: 100,
  max_completion_length: 70,
};

describe('policy gradient', () => {
  let gpu: Gpu;
  let language: LanguageModel;
  let adapter: LoraAdapter;
  let policy: PolicyGradient;
  let grpo: Golden;
  let prompt: GpuTensor;
  let completions: number[][];

  beforeAll(async () => {
    gpu = await openGpu();
    const { config, weights } = await loadGoldenModel(gpu);
    language = await LanguageModel.create(gpu, WgslRuntime.create(gpu), config, weights, {
      max_positions: 512,
    });
    adapter = LoraAdapter.create(
      gpu,
      { r: 4, lora_alpha: 8, use_rslora: false, target_modules: LORA_TARGETS },
      config.text_config,
    );
    grpo = await loadGolden('grpo.safetensors');
    for (const name of adapter.tensors.keys())
      adapter.set(name, Float32Array.from(grpo.get(`lora.${name}`)!.data as Float32Array));
    policy = await PolicyGradient.create(gpu, language, adapter);
    const vision = await loadGolden('vision.safetensors');
    const visual = uploadTensor(
      gpu,
      Float32Array.from(vision.get('connector.output')!.data as Float32Array),
      [8, 64],
      'f32',
      'visual',
    );
    prompt = language.embedPrompt(Int32Array.from(grpo.get('prompt_ids')!.data as Int32Array), visual);
    const ids = grpo.get('completion_ids')!.data as Int32Array;
    completions = meta.loss.mask_lengths.map((length, g) => [...ids.subarray(70 * g, 70 * g + length)]);
  });
  afterAll(() => gpu.close());

  /** The entries of a recorded `[G, 70]` that belong to tokens, one answer behind the other. */
  function unpadded(name: string): Float32Array<ArrayBuffer> {
    const values = grpo.get(name)!.data;
    return Float32Array.from(completions.flatMap((tokens, g) => tokens.map((_, i) => values[70 * g + i]!)));
  }

  it('gives the recorded log-probabilities of policy and reference', async () => {
    const batch = policyBatch(prompt.shape[0]!, completions);
    const forward = await policy.forward(batch, prompt);
    const reference = await policy.reference(batch, prompt);
    const worst = (a: ArrayLike<number>, b: ArrayLike<number>) =>
      Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i]!)));
    expect(worst(forward.logps, unpadded('policy_logps'))).toBeLessThan(2e-5);
    expect(worst(reference.logps, unpadded('ref_logps'))).toBeLessThan(2e-5);
    forward.destroy();
  });

  it('gives the recorded gradients of every LoRA tensor, with the prompt computed once', async () => {
    const batch = policyBatch(prompt.shape[0]!, completions);
    const buffers = gpu.memory.buffers;
    for (const passes of [1, 2]) {
      policy.clearGradients();
      for (let pass = 0; pass < passes; pass++) {
        const forward = await policy.forward(batch, prompt);
        await policy.backward(forward, unpadded('grad.policy_logps'));
        forward.destroy();
      }
      for (const [name, tensor] of policy.gradients) {
        const want = Float64Array.from(grpo.get(`grad.${name}`)!.data, (x) => passes * x);
        expect(relativeError(await readF32(gpu, tensor), want), name).toBeLessThan(1e-4);
      }
    }
    // The pools have grown; what a pass makes for itself is gone.
    expect(gpu.memory.buffers - buffers).toBeLessThan(60);
  });

  it.each(meta.adamw.runs)('gives the recorded LoRA weights after AdamW steps, $name', async (run) => {
    const start = new Map<string, Float32Array<ArrayBuffer>>();
    for (const name of adapter.tensors.keys())
      start.set(name, Float32Array.from(grpo.get(`lora.${name}`)!.data as Float32Array));
    for (const [name, values] of start) adapter.set(name, values);
    const optimiser = await AdamW.create(gpu, adapter.tensors, {
      ...DEFAULT_ADAMW,
      weight_decay: run.weight_decay,
      max_grad_norm: run.max_norm,
    });
    const batch = policyBatch(prompt.shape[0]!, completions);
    const { logps: ref_logps } = await policy.reference(batch, prompt);
    const advantages = Array.from(grpo.get('advantages')!.data);
    for (let step = 1; step <= 3; step++) {
      const forward = await policy.forward(batch, prompt);
      const { logps } = forward;
      const { loss, d_logps } = policyLoss(
        { logps, ref_logps, offsets: batch.offsets, advantages },
        ORIGINAL,
      );
      // The loss is a difference of terms of order 1.
      expect(Math.abs(loss - run.losses[step - 1]!)).toBeLessThan(1e-5);
      policy.clearGradients();
      await policy.backward(forward, Float32Array.from(d_logps));
      forward.destroy();
      const { grad_norm, applied } = await optimiser.apply(policy.gradients, meta.adamw.lr);
      expect(applied).toBe(true);
      expect(Math.abs(grad_norm - run.grad_norms[step - 1]!)).toBeLessThan(1e-4 * grad_norm);
      for (const [name, tensor] of adapter.tensors) {
        const recorded = grpo.get(`adamw.${run.name}.step${step}.${name}`);
        if (recorded)
          expect(relativeError(await readF32(gpu, tensor), recorded.data), name).toBeLessThan(1e-4);
      }
    }
    optimiser.destroy();
    for (const [name, values] of start) adapter.set(name, values);
  });

  it('stops a step whose gradient is not finite, and goes on from a saved state', async () => {
    const optimiser = await AdamW.create(gpu, adapter.tensors);
    const before = await adapter.read();
    const [name, gradient] = [...policy.gradients][0]!;
    writeTensor(gpu, gradient, new Float32Array(4).fill(Number.NaN));
    expect((await optimiser.apply(policy.gradients, 1e-3)).applied).toBe(false);
    expect((await adapter.read()).get(name)).toEqual(before.get(name));
    writeTensor(gpu, gradient, new Float32Array(4).fill(0.1));
    await optimiser.apply(policy.gradients, 1e-3);
    const saved = { weights: await adapter.read(), optimiser: await optimiser.read() };
    await optimiser.apply(policy.gradients, 1e-3);
    const after = await adapter.read();
    expect(after.get(name)).not.toEqual(saved.weights.get(name));
    const resumed = await AdamW.create(gpu, adapter.tensors);
    for (const [key, values] of saved.weights) adapter.set(key, values);
    resumed.restore(saved.optimiser);
    await resumed.apply(policy.gradients, 1e-3);
    expect(await adapter.read()).toEqual(after);
    optimiser.destroy();
    resumed.destroy();
  });
});
