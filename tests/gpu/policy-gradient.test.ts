import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LORA_TARGETS } from '../../src/blocks/qwen2-graphs';
import { WgslRuntime } from '../../src/blocks/wgsl/wgsl-runtime';
import { completionIds, tokenValues } from '../../src/cli/verify/grpo-reference';
import type { Gpu } from '../../src/gpu/device';
import { Recorder } from '../../src/gpu/recorder';
import {
  byteLength,
  createTensor,
  type GpuTensor,
  readF32,
  uploadTensor,
  writeTensor,
} from '../../src/gpu/tensor';
import { AdamW } from '../../src/grpo/adamw';
import { DEFAULT_ADAMW } from '../../src/grpo/adamw-config';
import { policyBatch, policyForest } from '../../src/grpo/policy-batch';
import { PolicyGradient } from '../../src/grpo/policy-gradient';
import { type LossConfig, policyLoss } from '../../src/grpo/policy-loss';
import { LoraAdapter } from '../../src/lora/adapter';
import { LanguageModel } from '../../src/model/language-model';
import meta from '../golden/grpo.json';
import { loadGolden } from '../support/golden';
import { loadGoldenModel, relativeError } from '../support/golden-model';
import { sharedGpu } from '../support/shared-gpu';

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
    gpu = await sharedGpu();
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
    completions = completionIds(grpo.get('completion_ids')!.data, meta.loss);
  });
  afterAll(() => gpu.close());

  /** The entries of a recorded `[G, 70]` that belong to tokens, one answer behind the other. */
  function unpadded(name: string): Float32Array<ArrayBuffer> {
    return tokenValues(grpo.get(name)!.data, meta.loss);
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

  it('gives the recorded gradients of every LoRA tensor, with layers kept and computed again, in parts', async () => {
    const batch = policyBatch(prompt.shape[0]!, completions);
    const again = await PolicyGradient.create(gpu, language, adapter, { keep_bytes: 0 });
    const parts = await PolicyGradient.create(gpu, language, adapter, { keep_bytes: 0, block_rows: 100 });
    const keptParts = await PolicyGradient.create(gpu, language, adapter, { block_rows: 100 });
    expect(batch.rows).toBeGreaterThan(200);
    const whole = new Map<string, Float32Array>();
    const buffers = gpu.memory.buffers;
    expect([policy.keeps(batch.rows), again.keeps(batch.rows)]).toEqual([true, false]);
    for (const [passes, object] of [
      [1, policy],
      [2, again],
      [1, again],
      [1, parts],
      [1, keptParts],
    ] as const) {
      object.clearGradients();
      for (let pass = 0; pass < passes; pass++) {
        const forward = await object.forward(batch, prompt);
        await object.backward(forward, unpadded('grad.policy_logps'));
        forward.destroy();
      }
      for (const [name, tensor] of object.gradients) {
        const want = Float64Array.from(grpo.get(`grad.${name}`)!.data, (x) => passes * x);
        const found = await readF32(gpu, tensor);
        expect(relativeError(found, want), name).toBeLessThan(1e-4);
        if (object === again) whole.set(name, found);
        if (object === parts || object === keptParts)
          expect(relativeError(found, whole.get(name)!), name).toBeLessThan(2e-6);
      }
    }
    // The pools have grown; what a pass makes for itself is gone.
    expect(gpu.memory.buffers - buffers).toBeLessThan(200);
    for (const object of [again, parts, keptParts]) object.destroy();
  });

  it('holds the bytes that it says, and frees them', async () => {
    const batch = policyBatch(prompt.shape[0]!, completions);
    for (const keep_bytes of [undefined, 0]) {
      const object = await PolicyGradient.create(
        gpu,
        language,
        adapter,
        keep_bytes === 0 ? { keep_bytes } : {},
      );
      (await object.forward(batch, prompt)).destroy();
      const before = gpu.memory.bytes;
      const forward = await object.forward(batch, prompt);
      const held = gpu.memory.bytes - before;
      const said = object.bytesHeld(batch.rows, object.keeps(batch.rows));
      expect(held / said).toBeGreaterThan(0.7);
      expect(held / said).toBeLessThan(1.05);
      forward.destroy();
      expect(gpu.memory.bytes).toBe(before);
      object.destroy();
    }
  });

  it('gives for several questions in one pass the sum of their gradients', async () => {
    const other = language.embedPrompt(Int32Array.from({ length: 23 }, (_, i) => 7 * i + 3));
    const both = createTensor(gpu, [prompt.shape[0]! + 23, prompt.shape[1]!], 'f32', 'both prompts');
    const recorder = new Recorder(gpu, 'test');
    const bytes = byteLength(prompt.shape, 'f32');
    recorder.copy(prompt.buffer, 0, both.buffer, 0, bytes);
    recorder.copy(other.buffer, 0, both.buffer, bytes, byteLength(other.shape, 'f32'));
    recorder.submit();
    // An answer of one token has no row of its own.
    const answers = [completions.slice(0, 3), [[5], completions[1]!.slice(0, 40), [9, 8, 7]]] as const;
    const single = [prompt, other].map((embeds, i) => ({
      embeds,
      batch: policyBatch(embeds.shape[0]!, answers[i]!),
    }));
    const forest = policyForest(
      single.map(({ embeds }, i) => ({ prompt_rows: embeds.shape[0]!, completions: answers[i]! })),
    );
    const d_logps = (n: number, from = 0) =>
      Float32Array.from({ length: n }, (_, i) => Math.sin(from + i) / 50);
    policy.clearGradients();
    const logps: number[] = [];
    for (const { embeds, batch } of single) {
      const forward = await policy.forward(batch, embeds);
      await policy.backward(forward, d_logps(batch.tokens.length, logps.length));
      logps.push(...forward.logps);
      forward.destroy();
    }
    const wanted = new Map<string, Float32Array>();
    for (const [name, tensor] of policy.gradients) wanted.set(name, await readF32(gpu, tensor));
    policy.clearGradients();
    const forward = await policy.forward(forest, both);
    for (const [i, logp] of forward.logps.entries()) expect(logp).toBeCloseTo(logps[i]!, 5);
    expect(forest.groups).toEqual([0, 3, 6]);
    await policy.backward(forward, d_logps(logps.length));
    forward.destroy();
    for (const [name, tensor] of policy.gradients)
      expect(relativeError(await readF32(gpu, tensor), wanted.get(name)!), name).toBeLessThan(1e-5);
    other.buffer.destroy();
    both.buffer.destroy();
  });

  it.each([
    { layers: [2], targets: ['mlp.down_proj'] },
    { layers: [1, 2], targets: ['self_attn.k_proj', 'mlp.up_proj'] },
    { layers: [0], targets: ['self_attn.v_proj'] },
  ] as const)(
    'gives the same gradients where only $targets of layers $layers are adapted',
    async (adapted) => {
      const { text_config } = language.config;
      const base = { r: 4, lora_alpha: 8, use_rslora: false };
      const part = { ...base, target_modules: adapted.targets, layers_to_transform: adapted.layers };
      const some = LoraAdapter.create(gpu, part, text_config);
      const all = LoraAdapter.create(gpu, { ...base, target_modules: LORA_TARGETS }, text_config);
      all.initialise(3);
      for (const name of some.tensors.keys()) {
        const values = Float32Array.from(grpo.get(`lora.${name}`)!.data as Float32Array);
        for (const lora of [some, all]) lora.set(name, values);
      }
      const batch = policyBatch(prompt.shape[0]!, completions.slice(0, 2));
      const d_logps = Float32Array.from({ length: batch.tokens.length }, (_, i) => Math.sin(i) / 50);
      const gradients: Map<string, Float32Array>[] = [];
      for (const [lora, options] of [
        [all, {}],
        [some, {}],
        [some, { keep_bytes: 0 }],
      ] as const) {
        const object = await PolicyGradient.create(gpu, language, lora, options);
        const forward = await object.forward(batch, prompt);
        await object.backward(forward, d_logps);
        forward.destroy();
        const values = new Map<string, Float32Array>();
        for (const [name, tensor] of object.gradients) values.set(name, await readF32(gpu, tensor));
        gradients.push(values);
        object.destroy();
      }
      const [wanted, ...given] = gradients;
      for (const values of given) {
        expect([...values.keys()]).toEqual([...some.tensors.keys()]);
        for (const [name, gradient] of values)
          expect(relativeError(gradient, wanted!.get(name)!), name).toBeLessThan(1e-5);
      }
      some.destroy();
      all.destroy();
    },
  );

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
