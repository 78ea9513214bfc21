import { afterEach, expect, it, vi } from 'vitest';
import { LORA_TARGETS } from '../../src/blocks/qwen2-graphs';
import { WgslRuntime } from '../../src/blocks/wgsl/wgsl-runtime';
import { Generator } from '../../src/generate/generate';
import { countingGpu } from '../../src/gpu/counting-gpu';
import type { Gpu } from '../../src/gpu/device';
import { Recorder } from '../../src/gpu/recorder';
import { createTensor } from '../../src/gpu/tensor';
import { TINYLLAVA_VIDEO_R1 } from '../../src/grpo/grpo-config';
import { parseConfig, rowsPerFrame, type TinyLlavaConfig } from '../../src/model/config';
import { LanguageModel } from '../../src/model/language-model';
import { passPrecision, presetPrecision, tensorPrecision } from '../../src/model/precision';
import { Resampler } from '../../src/model/resampler';
import { expectedTensors } from '../../src/model/tensor-names';
import type { TinyLlava } from '../../src/model/tiny-llava';
import { IMAGE_TOKEN_INDEX } from '../../src/model/tokenizer';
import { VisionTower } from '../../src/model/vision-tower';
import { Weights } from '../../src/weights/load-weights';
import { planTraining } from '../../src/worker/plan-training';
import { nodeCountingGpu } from '../support/counting';
import { publishedConfig } from '../support/published-model';

// Seconds of sines, which nobody sees here.
vi.mock('../../src/model/resampler-position-encoding', () => ({
  positionEncoding: (rows: number, channels: number) => new Float32Array(rows * channels),
}));

afterEach(() => vi.restoreAllMocks());

/** What a device has that was asked for nothing beyond WebGPU's defaults. */
const DEFAULTS = {
  maxBufferSize: 2 ** 28,
  maxStorageBufferBindingSize: 2 ** 27,
  maxComputeWorkgroupStorageSize: 16_384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxStorageBuffersPerShaderStage: 8,
};
const MOST_WORKGROUPS = 65_535;
const EMBEDDING = 'language_model.model.embed_tokens.weight';

/** A device with the default limits, as far as counting goes. */
function likeDefault(): Gpu {
  return {
    device: { limits: DEFAULTS },
    adapter: { isFallback: false, subgroupMinSize: 32, limits: DEFAULTS },
    f16: true,
    subgroups: true,
    off: new Set(),
  } as unknown as Gpu;
}

/** A GPU that counts, with the default limits, and what goes beyond them, by what it is. */
function defaultDevice(): { gpu: Gpu; beyond: Map<string, number>; bound: () => number } {
  // WebGPU's constants, which Node lacks.
  nodeCountingGpu();
  const gpu = countingGpu(likeDefault());
  const beyond = new Map<string, number>();
  const note = (what: string, value: number, limit: number) => {
    if (value > limit) beyond.set(what, Math.max(value, beyond.get(what) ?? 0));
  };
  let bound = 0;
  const sizes = new WeakMap<object, number>();
  const create = gpu.device.createBuffer;
  gpu.device.createBuffer = (descriptor) => {
    note(`buffer: ${descriptor.label}`, descriptor.size, DEFAULTS.maxBufferSize);
    const buffer = create.call(gpu.device, descriptor);
    sizes.set(buffer, descriptor.size);
    return buffer;
  };
  gpu.device.createBindGroup = ({ label, entries }) => {
    const [, ...storage] = entries;
    note(`bindings: ${label}`, storage.length, DEFAULTS.maxStorageBuffersPerShaderStage);
    for (const { resource } of storage) {
      const { buffer, offset = 0, size } = resource as GPUBufferBinding;
      const bytes = size ?? sizes.get(buffer)! - offset;
      note(`binding: ${buffer.label}`, bytes, DEFAULTS.maxStorageBufferBindingSize);
      note(`offset: ${buffer.label}`, offset % 256, 0);
      bound = Math.max(bound, bytes);
    }
    return {} as GPUBindGroup;
  };
  const dispatch = Recorder.prototype.dispatch;
  vi.spyOn(Recorder.prototype, 'dispatch').mockImplementation(function (this: Recorder, ...args) {
    note(`grid: ${args[0].name}`, Math.max(...args[3].map((side) => side ?? 1)), MOST_WORKGROUPS);
    dispatch.apply(this, args);
  });
  return { gpu, beyond, bound: () => bound };
}

/** The model's weights in 4 bits, with vision and connector in f16. */
function weightsOf(gpu: Gpu, config: TinyLlavaConfig): Weights {
  const expected = expectedTensors(config);
  const typeOf = tensorPrecision(expected, presetPrecision('4-bit', true));
  return new Weights(
    new Map([...expected.used].map(([name, shape]) => [name, createTensor(gpu, shape, typeOf(name), name)])),
  );
}

/** Sixteen frames, a prompt of 672 rows, a few tokens of eight answers, by the engine's own code. */
async function answer(gpu: Gpu, config: TinyLlavaConfig, weights: Weights): Promise<void> {
  const runtime = WgslRuntime.create(gpu);
  const vision = await VisionTower.create(gpu, runtime, config, weights);
  const resampler = await Resampler.create(gpu, runtime, config, weights);
  const side = config.vision_config.image_size;
  const pixels = createTensor(gpu, [16, 3, side, side], 'f32', 'pixels');
  const features = await vision.encode(pixels);
  const visual = await resampler.forward(features);
  for (const { buffer } of [pixels, features]) buffer.destroy();
  runtime.trim();
  const storage = passPrecision(true, 3.6e9);
  const language = await LanguageModel.create(gpu, runtime, config, weights, storage);
  // All that a generator needs of a model. Nothing is drawn, so no id ends an answer.
  const model = { config, language, tokenizer: { eos_token_id: -1 } } as unknown as TinyLlava;
  const generator = await Generator.create(gpu, model);
  const prompt_ids = new Int32Array(161);
  prompt_ids[0] = IMAGE_TOKEN_INDEX;
  const settings = { temperature: 1, top_k: 0, top_p: 1, seed: 1 };
  const request = { prompt_ids, visual, settings, max_new_tokens: 3, num_generations: 8 };
  for await (const _ of generator.generate(request));
  await gpu.memory.check();
}

it('the published model keeps to the limits of a default device, but for its embedding', async () => {
  const { gpu, beyond, bound } = defaultDevice();
  const config = parseConfig(await publishedConfig());
  const weights = weightsOf(gpu, config);
  // The embedding is refused; the rest is to be seen all the same.
  await expect(gpu.memory.check()).rejects.toThrow(EMBEDDING);
  await answer(gpu, config, weights);
  // Which `loadWeights` refuses there, and the plan before it.
  expect([...beyond.keys()].sort()).toEqual([`binding: ${EMBEDDING}`, `buffer: ${EMBEDDING}`]);
  // It is the whole model that was run.
  expect(bound()).toBeGreaterThan(2 ** 27);
  expect(gpu.memory.peakBytes).toBeGreaterThan(2.9e9);
});

it('with room for its embedding it takes 3.43 GB at most', async () => {
  const { device } = nodeCountingGpu();
  const gpu = countingGpu({ ...likeDefault(), device });
  const config = parseConfig(await publishedConfig());
  await answer(gpu, config, weightsOf(gpu, config));
  expect(gpu.memory.peakBytes).toBeGreaterThan(3.42e9);
  expect(gpu.memory.peakBytes).toBeLessThan(3.44e9);
});

it.each([
  ['groupresampler', 16],
  ['groupresampler', 64],
  ['naiveresampler', 16],
  ['naiveresampler', 64],
])('the %s takes %i frames in parts, and leaves its visual tokens alone', async (connector_type, frames) => {
  const { gpu, beyond, bound } = defaultDevice();
  const config = parseConfig({ ...(await publishedConfig(2)), connector_type });
  const weights = weightsOf(gpu, config);
  await expect(gpu.memory.check()).rejects.toThrow(EMBEDDING);
  const runtime = WgslRuntime.create(gpu);
  const resampler = await Resampler.create(gpu, runtime, config, weights);
  const rows = frames * rowsPerFrame(config);
  const { hidden_size } = config.vision_config;
  const features = createTensor(gpu, [rows, hidden_size], 'f32', 'features', { ranged: true });
  // The ring of uniform blocks stays.
  gpu.uniforms.write(new Uint32Array(4));
  const before = gpu.memory.bytes;
  gpu.memory.resetPeak();
  const visual = await resampler.forward(features);
  // Of the group resampler 64 frames take no more than 16: fewer groups come at a time.
  if (connector_type === 'groupresampler') expect(gpu.memory.peakBytes - before).toBeLessThan(210e6);
  runtime.trim();
  // And what attention joins its parts in, which serves the next video.
  expect(gpu.memory.bytes - before - visual.buffer.size).toBeLessThan(10e6);
  expect([...beyond.keys()]).toEqual([`buffer: ${EMBEDDING}`]);
  // 8,192 rows of linear's result; keys and values of the naive resampler's features are bound whole.
  const keys = 4 * 512 * (rows + 512);
  expect(bound()).toBeLessThanOrEqual(
    Math.max(4 * 2048 * 8192, connector_type === 'naiveresampler' ? keys : 0),
  );
  // It is all of them that were encoded.
  expect(bound()).toBeGreaterThan(4 * 2048 * 5800);
  await resampler.destroy();
});

it('training it keeps to them, too', async () => {
  nodeCountingGpu();
  // A step's buffers are those of one layer, and the head's: more layers add none that are larger.
  const config = parseConfig(await publishedConfig(2));
  const lora = { r: 16, lora_alpha: 32, use_rslora: false, target_modules: LORA_TARGETS };
  const plan = await planTraining(likeDefault(), config, presetPrecision('4-bit', true), {
    grpo: { ...TINYLLAVA_VIDEO_R1, questions_per_step: 1, max_completion_length: 128 },
    lora,
  });
  // It fits as it is, the logits of all 151,936 tokens a few rows at a time.
  expect(plan.suggestions).toBeUndefined();
  expect(plan.largestBuffer).toBeLessThanOrEqual(DEFAULTS.maxStorageBufferBindingSize);
  expect(plan.largestBuffer).toBeGreaterThanOrEqual(151_936 * 4 * 16);
});

it('a prompt of 700 rows takes a quarter less with activations in f16', async () => {
  const gpu = { ...nodeCountingGpu(), f16: true };
  // Layers take turns, so more of them take no more.
  const config = parseConfig(await publishedConfig(2));
  const { hidden_size: H, intermediate_size: M, num_key_value_heads, head_dim } = config.text_config;
  const weights = weightsOf(gpu, config);
  // Both have the same ring of uniform blocks.
  gpu.uniforms.write(new Uint32Array(4));
  const rows = 700;
  const taken = async (activation_dtype: 'f32' | 'f16') => {
    const storage = { ...passPrecision(true, 3.6e9), activation_dtype };
    const language = await LanguageModel.create(gpu, WgslRuntime.create(gpu), config, weights, storage);
    const cache = language.createCache(rows);
    const embeds = createTensor(gpu, [rows, H], 'f32', 'prompt');
    const before = gpu.memory.bytes;
    gpu.memory.resetPeak();
    await language.forward({ cache, append: [{ segment: cache.addSegment(rows), count: rows }], embeds });
    return gpu.memory.peakBytes - before;
  };
  const [f32, f16] = [await taken('f32'), await taken('f16')];
  // q and the attention's output, k and v, gate and up.
  expect(f32 - f16).toBe(2 * rows * (2 * H + 2 * num_key_value_heads * head_dim + 2 * M));
  expect(f16).toBeLessThan(92e6);
});
