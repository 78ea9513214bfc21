import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LORA_TARGETS } from '../../src/blocks/qwen2-graphs';
import { WgslRuntime } from '../../src/blocks/wgsl/wgsl-runtime';
import { type Gpu, openGpu } from '../../src/gpu/device';
import { type GpuTensor, readF32, uploadTensor } from '../../src/gpu/tensor';
import { policyBatch } from '../../src/grpo/policy-batch';
import { PolicyGradient } from '../../src/grpo/policy-gradient';
import { LoraAdapter } from '../../src/lora/adapter';
import { LanguageModel } from '../../src/model/language-model';
import meta from '../golden/grpo.json';
import { loadGolden } from '../support/golden';
import { loadGoldenModel, relativeError } from '../support/golden-model';

type Golden = Awaited<ReturnType<typeof loadGolden>>;

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
});
