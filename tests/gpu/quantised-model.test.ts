import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbedTokens } from '../../src/attention/rows';
import type { WeightSource } from '../../src/blocks/block-weights';
import { OrtRuntime } from '../../src/blocks/ort/ort-runtime';
import { LORA_TARGETS } from '../../src/blocks/qwen2-graphs';
import { WgslRuntime } from '../../src/blocks/wgsl/wgsl-runtime';
import type { Gpu } from '../../src/gpu/device';
import { Recorder } from '../../src/gpu/recorder';
import { type GpuTensor, isQuantised, readF32, readTensor, uploadTensor } from '../../src/gpu/tensor';
import { policyBatch } from '../../src/grpo/policy-batch';
import { PolicyGradient } from '../../src/grpo/policy-gradient';
import { LoraAdapter } from '../../src/lora/adapter';
import { parseConfig, type TinyLlavaConfig } from '../../src/model/config';
import { LanguageModel } from '../../src/model/language-model';
import { type ModelPrecision, summarisePrecision, tensorPrecision } from '../../src/model/precision';
import { Resampler } from '../../src/model/resampler';
import { expectedTensors } from '../../src/model/tensor-names';
import { VisionTower } from '../../src/model/vision-tower';
import { openCheckpoint } from '../../src/weights/checkpoint';
import { loadWeights, type Weights } from '../../src/weights/load-weights';
import { dequantise, fromHalves, quantise, toHalves } from '../../src/weights/quantise-reference';
import { goldenStore } from '../support/golden';
import { relativeError } from '../support/golden-model';
import { randomValues } from '../support/random-values';
import { sharedGpu } from '../support/shared-gpu';

const PRECISION: ModelPrecision = { language: 'q4', embedding: 'q8', vision: 'q4', connector: 'f16' };

/** The values that a packed weight stands for, as an f32 tensor. */
async function unpacked(gpu: Gpu, tensor: GpuTensor): Promise<GpuTensor> {
  const { dtype, shape, scales } = tensor;
  if (dtype === 'f32') return tensor;
  const data = await readTensor(gpu, tensor);
  const values = isQuantised(dtype)
    ? dequantise({ codes: data as Uint8Array, scales: await readF32(gpu, scales!) }, dtype, [
        shape[0]!,
        shape[1]!,
      ])
    : fromHalves(data as Uint16Array);
  return uploadTensor(gpu, Float32Array.from(values), shape, 'f32', 'unpacked');
}

describe('a model over packed weights is the model over the values that they stand for', () => {
  let gpu: Gpu;
  let config: TinyLlavaConfig;
  let packed: Weights;
  let plain: WeightSource;

  beforeAll(async () => {
    gpu = await sharedGpu();
    const checkpoint = await openCheckpoint(await goldenStore(), { weights: 'model.safetensors' });
    config = parseConfig(checkpoint.config);
    const expected = expectedTensors(config);
    packed = await loadWeights(gpu, checkpoint, expected, {
      precision: tensorPrecision(expected, PRECISION),
    });
    const tensors = new Map<string, GpuTensor>();
    for (const name of packed.names()) tensors.set(name, await unpacked(gpu, packed.get(name)));
    plain = { get: (name) => tensors.get(name)! };
    const summary = summarisePrecision(expected, PRECISION, packed.errors);
    const error = Object.fromEntries(summary.map(({ part, mean_error }) => [part, mean_error]));
    // What 4 bits, 8 bits and halves make of normal weights.
    expect(error.language).toBeGreaterThan(0.05);
    expect(error.language).toBeLessThan(0.12);
    expect(error.embedding).toBeLessThan(0.01);
    expect(error.connector).toBeLessThan(4e-4);
    expect(summary[0]!.tensors).toBe(7 * config.text_config.num_hidden_layers);
  });
  afterAll(() => gpu.close());

  it('vision tower and resampler', async () => {
    const { image_size: S } = config.vision_config;
    const pixels = uploadTensor(gpu, randomValues(6 * S * S, 2), [2, 3, S, S], 'f32', 'pixels');
    const outputs: Float32Array[] = [];
    for (const weights of [packed, plain]) {
      const runtime = WgslRuntime.create(gpu);
      const vision = await VisionTower.create(gpu, runtime, config, weights);
      const resampler = await Resampler.create(gpu, runtime, config, weights);
      const features = await vision.encode(pixels);
      outputs.push(await readF32(gpu, features), await readF32(gpu, await resampler.forward(features)));
      await vision.destroy();
      await resampler.destroy();
    }
    expect(relativeError(outputs[0]!, outputs[2]!)).toBeLessThan(1e-5);
    expect(relativeError(outputs[1]!, outputs[3]!)).toBeLessThan(1e-5);
  });

  it('log-probabilities, and the gradients of a LoRA on top', async () => {
    const H = config.text_config.hidden_size;
    const completions = [
      [5, 9, 70, 3],
      [12, 4],
      [33, 8, 21, 60, 2, 7],
    ];
    const batch = policyBatch(12, completions);
    const prompt = uploadTensor(gpu, randomValues(12 * H, 3), [12, H], 'f32', 'prompt');
    const results: { logps: Float32Array; reference: Float32Array; gradients: Map<string, Float32Array> }[] =
      [];
    for (const weights of [packed, plain]) {
      const language = await LanguageModel.create(gpu, WgslRuntime.create(gpu), config, weights, {
        max_positions: 64,
      });
      const adapter = LoraAdapter.create(
        gpu,
        { r: 4, lora_alpha: 8, use_rslora: false, target_modules: LORA_TARGETS },
        config.text_config,
      );
      for (const [i, [name, { shape }]] of [...adapter.tensors].entries())
        adapter.set(
          name,
          randomValues(shape[0]! * shape[1]!, 50 + i).map((x) => x * 0.1),
        );
      const policy = await PolicyGradient.create(gpu, language, adapter);
      const forward = await policy.forward(batch, prompt);
      await policy.backward(forward, randomValues(12, 7));
      const gradients = new Map<string, Float32Array>();
      for (const [name, tensor] of policy.gradients) gradients.set(name, await readF32(gpu, tensor));
      const reference = (await policy.reference(batch, prompt)).logps;
      results.push({ logps: forward.logps, reference, gradients });
      forward.destroy();
      policy.destroy();
    }
    const [got, want] = results as [(typeof results)[0], (typeof results)[0]];
    expect(relativeError(got.logps, want.logps)).toBeLessThan(1e-5);
    expect(relativeError(got.reference, want.reference)).toBeLessThan(1e-5);
    expect(relativeError(got.reference, want.logps)).toBeGreaterThan(1e-3);
    for (const [name, gradient] of want.gradients)
      expect(relativeError(got.gradients.get(name)!, gradient), name).toBeLessThan(1e-4);
  });

  it('logits through ONNX Runtime', async () => {
    const rows = 20;
    const ids = Int32Array.from({ length: rows }, (_, i) => (7 * i) % 60);
    const tokens = uploadTensor(gpu, ids, [rows], 'i32', 'ids');
    const logits: Float32Array[] = [];
    for (const runtime of [OrtRuntime.create(gpu, { validation: true }), WgslRuntime.create(gpu)]) {
      const weights = logits.length === 0 ? packed : plain;
      const language = await LanguageModel.create(gpu, runtime, config, weights, { max_positions: 64 });
      const cache = language.createCache(rows);
      const segment = cache.addSegment(rows);
      const hidden = await language.forward({ cache, append: [{ segment, count: rows }], tokens });
      logits.push(await readF32(gpu, await language.logits(hidden)));
      cache.destroy();
      await language.destroy();
    }
    expect(relativeError(logits[0]!, logits[1]!)).toBeLessThan(1e-5);
  });

  it.each(['q4', 'q8', 'f16'] as const)('embeds tokens from a table of %s', async (dtype) => {
    const [V, H] = [40, 76];
    const values = randomValues(V * H, 8);
    let table: GpuTensor;
    if (dtype === 'f16') table = uploadTensor(gpu, toHalves(values), [V, H], dtype, 'table');
    else {
      const { codes, scales } = quantise(values, dtype, [V, H]);
      table = uploadTensor(gpu, codes, [V, H], dtype, 'table');
      gpu.device.queue.writeBuffer(table.scales!.buffer, 0, scales);
    }
    const embed = await EmbedTokens.create(gpu, dtype);
    const ids = Int32Array.of(3, 0, -1, 39, 40, 7);
    const tokens = uploadTensor(gpu, ids, [6], 'i32', 'ids');
    const out = uploadTensor(gpu, new Float32Array(8 * H).fill(-99), [8, H], 'f32', 'out');
    const recorder = new Recorder(gpu, 'embed');
    embed.record(recorder, { tokens, table, out, row_offset: 1 });
    recorder.submit();
    const got = await readF32(gpu, out);
    const want = await readF32(gpu, await unpacked(gpu, table));
    for (let row = 0; row < 8; row++) {
      const id = ids[row - 1] ?? -1;
      const expected = id >= 0 && id < V ? want.slice(id * H, (id + 1) * H) : new Float32Array(H).fill(-99);
      expect(got.slice(row * H, (row + 1) * H), `row ${row}`).toEqual(expected);
    }
  });
});
