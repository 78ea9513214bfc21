import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BlockRuntimes } from '../../src/blocks/block-runtimes';
import type { WeightSource } from '../../src/blocks/block-weights';
import { LORA_TARGETS } from '../../src/blocks/qwen2-graphs';
import { WgslRuntime } from '../../src/blocks/wgsl/wgsl-runtime';
import type { Gpu } from '../../src/gpu/device';
import { createTensor, type GpuTensor, readF32, uploadTensor, writeTensor } from '../../src/gpu/tensor';
import { LoraAdapter } from '../../src/lora/adapter';
import type { TinyLlavaConfig } from '../../src/model/config';
import type { DecoderSteps } from '../../src/model/decoder-steps';
import { LanguageModel } from '../../src/model/language-model';
import { type PassPrecision, partOf } from '../../src/model/precision';
import { expectedTensors, LANGUAGE_PREFIX } from '../../src/model/tensor-names';
import type { Weights } from '../../src/weights/load-weights';
import { quantise } from '../../src/weights/quantise-reference';
import type { TensorData } from '../../src/weights/tensor-data';
import { f32, i32, loadGolden } from '../support/golden';
import { loadGoldenModel } from '../support/golden-model';
import { randomValues } from '../support/random-values';
import { sharedGpu } from '../support/shared-gpu';

/**
 * Root mean square error of logits by that of the logits. A value in f16 is off by 2^-11 of itself at most and by 2^-11 /
 * sqrt(3) in the root mean square; a layer has eight of them one behind the other or side by side: q and k, each before and
 * after the rotary embedding, v, the attention's output, gate, up. Independent of each other, three layers' add up to this
 * where nothing dilutes them (the residual stream does) or makes them larger (scores of several units in a softmax do).
 * Of a group's three rows alone, which are few for a mean, twice as much.
 */
const TOLERANCE = Math.sqrt(3 * 8) * (2 ** -11 / Math.sqrt(3));
const HALVES: PassPrecision = { kv_dtype: 'f16', activation_dtype: 'f16' };

/** Tokens of three answers, step by step. */
const ANSWERS = [
  [5, 300, 999],
  [9, 2, 0],
  [700, 2, 512],
  [41, 77, 5],
];

describe('answers with activations in f16', () => {
  let gpu: Gpu;
  let config: TinyLlavaConfig;
  let weights: Weights;
  let golden: Map<string, TensorData>;
  let visual: GpuTensor;

  beforeAll(async () => {
    gpu = await sharedGpu();
    golden = await loadGolden('lm.safetensors');
    ({ config, weights } = await loadGoldenModel(gpu));
    const output = f32(await loadGolden('vision.safetensors'), 'connector.output');
    visual = uploadTensor(gpu, output, [8, 64], 'f32', 'visual tokens');
  });
  afterAll(() => {
    visual?.buffer.destroy();
    weights?.destroy();
    gpu?.close();
  });

  /** Logits of all rows of a prompt, then of a group of answers behind it, token by token. */
  async function logitsOf(model: LanguageModel, steps: DecoderSteps = model.base): Promise<Float32Array[]> {
    const embeds = model.embedPrompt(i32(golden, 'input_ids'), visual);
    const rows = embeds.shape[0]!;
    const cache = model.createCache(rows + 3 * ANSWERS.length);
    const prompt = cache.addSegment(rows);
    const append = [{ segment: prompt, count: rows }];
    const hidden = await model.forward({ cache, append, embeds, steps });
    const found = [await readF32(gpu, await model.logits(hidden))];
    const branches = [0, 1, 2].map(() => ({ segment: cache.addSegment(ANSWERS.length, prompt), count: 1 }));
    const tokens = createTensor(gpu, [3], 'i32', 'tokens');
    for (const ids of ANSWERS) {
      writeTensor(gpu, tokens, Int32Array.from(ids));
      const next = await model.forward({ cache, append: branches, tokens, steps });
      found.push(await readF32(gpu, await model.logits(next)));
    }
    for (const { buffer } of [embeds, tokens]) buffer.destroy();
    cache.destroy();
    return found;
  }

  /** The language model's linear layers in 4 bits, the rest as it is. */
  async function inFourBits(): Promise<WeightSource> {
    const tensors = new Map<string, GpuTensor>();
    for (const [name, shape] of expectedTensors(config).used) {
      if (!name.startsWith(LANGUAGE_PREFIX)) continue;
      const plain = weights.get(name);
      if (partOf(name, shape) !== 'language') {
        tensors.set(name, plain);
        continue;
      }
      const { codes, scales } = quantise(await readF32(gpu, plain), 'q4', [shape[0]!, shape[1]!]);
      const tensor = uploadTensor(gpu, codes, shape, 'q4', name);
      writeTensor(gpu, tensor.scales!, scales);
      tensors.set(name, tensor);
    }
    return { get: (name) => tensors.get(name)! };
  }

  it('are refused where shaders have no halves', async (context) => {
    if (gpu.f16) context.skip('This adapter has shader-f16.');
    const model = LanguageModel.create(gpu, WgslRuntime.create(gpu), config, weights, HALVES);
    await expect(model).rejects.toThrow('keep them as f32');
  });

  it.each([
    ['wgsl', 'f32'],
    ['wgsl', 'q4'],
    ['wgsl as on a GPU', 'f32'],
    ['wgsl as on a GPU', 'q4'],
    ['ort', 'f32'],
    ['ort', 'q4'],
  ] as const)(
    '%s, weights of %s: the logits of f32 but for what rounding makes of them',
    async (kind, type) => {
      if (!gpu.f16) return;
      const likeGpu = { ...gpu, adapter: { ...gpu.adapter, isFallback: false } };
      const place = kind === 'wgsl as on a GPU' ? likeGpu : gpu;
      const backend = kind === 'ort' ? 'ort' : 'wgsl';
      const source = type === 'q4' ? await inFourBits() : weights;
      const runtime = await BlockRuntimes.create(place, { backend, validation: true });
      const lora = { r: 4, lora_alpha: 8, use_rslora: false, target_modules: LORA_TARGETS };
      const adapter = LoraAdapter.create(gpu, lora, config.text_config);
      for (const [i, [name, [rows, width]]] of [...adapter.shapes].entries())
        adapter.set(
          name,
          randomValues(rows * width, 50 + i).map((x) => 0.1 * x),
        );
      const logits: Float32Array[][] = [];
      for (const passes of [{}, HALVES]) {
        const model = await LanguageModel.create(place, runtime, config, source, {
          ...passes,
          max_positions: 192,
        });
        const own = await logitsOf(model);
        const adapted = await model.adapt(adapter.decoder, adapter);
        logits.push([...own, ...(await logitsOf(model, adapted))]);
        await model.destroy();
      }
      const [exact, halves] = logits as [Float32Array[], Float32Array[]];
      const errors = exact.map((row, i) => deviation(halves[i]!, row));
      for (const [i, error] of errors.entries()) {
        const many = exact[i]!.length > 3 * config.text_config.vocab_size;
        expect(error, `pass ${i}`).toBeLessThan(many ? TOLERANCE : 2 * TOLERANCE);
        // It is f16 that was stored.
        expect(error, `pass ${i}`).toBeGreaterThan(1e-5);
      }
      adapter.destroy();
      await runtime.destroy();
    },
  );
});

/** Root mean square of a difference, by that of what is expected. */
function deviation(found: Float32Array, expected: Float32Array): number {
  const squares = (value: (i: number) => number) => expected.reduce((sum, _, i) => sum + value(i) ** 2, 0);
  return Math.sqrt(squares((i) => found[i]! - expected[i]!) / squares((i) => expected[i]!));
}
