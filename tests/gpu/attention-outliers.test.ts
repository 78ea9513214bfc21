import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BlockRuntimes } from '../../src/blocks/block-runtimes';
import { type Gpu, openGpu } from '../../src/gpu/device';
import {
  createTensor,
  type GpuTensor,
  readF32,
  sizeOf,
  uploadTensor,
  writeTensor,
} from '../../src/gpu/tensor';
import { parseConfig } from '../../src/model/config';
import { LanguageModel } from '../../src/model/language-model';
import { TapRecorder } from '../../src/model/model-taps';
import { expectedTensors, LANGUAGE_PREFIX } from '../../src/model/tensor-names';
import { openCheckpoint } from '../../src/weights/checkpoint';
import { normals, seeded } from '../support/attention-cases';
import { goldenStore } from '../support/golden';

/** Channel of the residual stream that is large in every row, and inner channel of every MLP that is. */
const CHANNEL = 7;
const INNER = 3;
/** What the other channels shrink to in a norm beside a channel of 1e4, for a hidden size of 64. */
const SHRINK = 1e4 / 8;

/**
 * Values of a checkpoint with Qwen2.5's habits, exaggerated: a residual channel of 1e4, key biases of +-200, products
 * of gate and up of 1e5. Norms weigh the other channels up again, so that the model still depends on them.
 */
function outlierValues(name: string, shape: readonly number[], random: () => number) {
  const width = shape.at(-1)!;
  const values = normals(random, sizeOf(shape), shape.length > 1 ? width ** -0.5 : 0.1);
  if (/embed_tokens/.test(name)) {
    for (let i = 0; i < values.length; i++) values[i]! *= Math.sqrt(width);
    for (let i = CHANNEL; i < values.length; i += width) values[i] = 1e4;
  } else if (/layernorm|norm\.weight/.test(name)) {
    for (let i = 0; i < width; i++) values[i] = SHRINK;
    // 8 times this is what the large channel is after the norm; the head does not see it.
    values[CHANNEL] = name === `${LANGUAGE_PREFIX}model.norm.weight` ? 0 : 0.1;
  } else if (/k_proj\.bias/.test(name)) {
    values[2] = 200;
    values[width - 5] = -200;
  } else if (/(gate|up)_proj/.test(name)) {
    // 0.8 * 400 each: a product of 1e5.
    for (let i = 0; i < width; i++) values[INNER * width + i] = i === CHANNEL ? 400 : 0;
  } else if (/down_proj/.test(name)) {
    for (let i = INNER; i < values.length; i += width) values[i]! *= 1e-5 * Math.sqrt(width);
  }
  return values;
}

describe('a model with outliers', () => {
  let gpu: Gpu;
  beforeAll(async () => {
    gpu = await openGpu();
  });
  afterAll(() => gpu.close());

  it('has the same greedy ids with keys and values in f16 as in f32', async (context) => {
    if (!gpu.f16) context.skip('This adapter has no shader-f16.');
    const checkpoint = await openCheckpoint(await goldenStore(), { weights: 'model.safetensors' });
    const config = parseConfig(checkpoint.config as Record<string, unknown>);
    const random = seeded(11);
    const tensors = new Map<string, GpuTensor>();
    for (const [name, shape] of expectedTensors(config).used) {
      if (name.startsWith(LANGUAGE_PREFIX))
        tensors.set(name, uploadTensor(gpu, outlierValues(name, shape, random), shape, 'f32', name));
    }
    const source = { get: (name: string) => tensors.get(name)! };
    const runtime = await BlockRuntimes.create(gpu, { backend: 'wgsl' });
    const prompt = Int32Array.from({ length: 40 }, () => Math.floor(random() * 1000));
    const written: number[][] = [];
    for (const kv_dtype of ['f32', 'f16'] as const) {
      const model = await LanguageModel.create(gpu, runtime, config, source, {
        kv_dtype,
        max_positions: 128,
      });
      const embeds = model.embedPrompt(prompt);
      const cache = model.createCache(80);
      expect(cache.layers[0]!.k.dtype).toBe(kv_dtype);
      const segment = cache.addSegment(80);
      const taps = new TapRecorder(gpu);
      let hidden = await model.forward({ cache, append: [{ segment, count: 40 }], embeds, tap: taps.tap });
      let logits = await model.logits(hidden, [39]);
      const token = createTensor(gpu, [1], 'i32', 'token');
      const ids: number[] = [];
      for (;;) {
        const values = await readF32(gpu, logits);
        const id = values.indexOf(values.reduce((a, b) => Math.max(a, b)));
        ids.push(id);
        if (ids.length === 24) break;
        writeTensor(gpu, token, new Int32Array([id]));
        hidden = await model.forward({ cache, append: [{ segment, count: 1 }], tokens: token });
        logits = await model.logits(hidden);
      }
      if (kv_dtype === 'f32') {
        // The outliers are there: in the stored keys, and in the residual stream.
        const keys = await readF32(gpu, cache.layers[1]!.k);
        expect(keys.reduce((most, x) => Math.max(most, Math.abs(x)), 0)).toBeGreaterThan(190);
        const last = taps.get('lm.hidden.2');
        expect(last.reduce((most, x) => Math.max(most, Math.abs(x)), 0)).toBeGreaterThan(9e3);
      }
      written.push(ids);
      for (const { buffer } of [embeds, token]) buffer.destroy();
      cache.destroy();
      await model.destroy();
    }
    expect(new Set(written[0]).size).toBeGreaterThan(5);
    expect(written[1]).toEqual(written[0]);
    for (const { buffer } of tensors.values()) buffer.destroy();
  });
});
