import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Gpu, openGpu } from '../../src/gpu/device';
import { GpuMemoryError } from '../../src/gpu/errors';
import { type GpuTensor, readF32, uploadTensor } from '../../src/gpu/tensor';
import { TinyLlava } from '../../src/model/tiny-llava';
import { f32, goldenStore, loadGolden } from '../support/golden';

let gpu: Gpu;
const errors: string[] = [];
beforeAll(async () => {
  gpu = await openGpu(navigator.gpu, (message) => errors.push(message));
});
afterEach(() => {
  gpu.memory.budget = Number.POSITIVE_INFINITY;
});
afterAll(() => gpu?.close());

/**
 * Runs a job with budgets up to what it needs: each time it must end in a GpuMemoryError and leave no more than a good
 * one keeps, and then give what it gave before. What a job keeps for the next one goes when it fails, so what it needs is
 * measured from there.
 */
async function starve(job: () => Promise<Float32Array>): Promise<void> {
  const expected = await job();
  const kept = gpu.memory.bytes;
  gpu.memory.budget = kept;
  await expect(job()).rejects.toBeInstanceOf(GpuMemoryError);
  gpu.memory.budget = Number.POSITIVE_INFINITY;
  const before = gpu.memory.bytes;
  expect(before).toBeLessThanOrEqual(kept);
  gpu.memory.resetPeak();
  await job();
  const needed = gpu.memory.peakBytes - before;
  expect(needed).toBeGreaterThan(0);
  for (const share of [0, 0.2, 0.4, 0.6, 0.8, 0.99]) {
    gpu.memory.budget = before + Math.floor(share * needed);
    await expect(job(), `${share}`).rejects.toBeInstanceOf(GpuMemoryError);
    gpu.memory.budget = Number.POSITIVE_INFINITY;
    expect(gpu.memory.bytes, `after ${share}`).toBeLessThanOrEqual(kept);
  }
  expect(await job()).toEqual(expected);
  const settled = gpu.memory.bytes;
  expect(settled).toBeLessThanOrEqual(kept);
  expect(await job()).toEqual(expected);
  expect(gpu.memory.bytes).toBe(settled);
}

describe('a model that finds no room', () => {
  it('is not loaded in part', async () => {
    const store = await goldenStore();
    const model = await TinyLlava.load(gpu, store);
    const needed = gpu.memory.peakBytes;
    await model.destroy();
    // The ring of uniform blocks belongs to the device.
    const before = gpu.memory.bytes;
    for (const share of [0.02, 0.5, 0.9, 0.99]) {
      gpu.memory.budget = before + Math.floor(share * (needed - before));
      await expect(TinyLlava.load(gpu, store)).rejects.toBeInstanceOf(GpuMemoryError);
      expect(gpu.memory.bytes, `after ${share}`).toBe(before);
    }
  });

  it.each(['wgsl', 'ort'] as const)('says so while it works, and goes on: %s', async (backend) => {
    const model = await TinyLlava.load(gpu, await goldenStore(), { backend });
    const golden = await loadGolden('vision.safetensors');
    const pixels = uploadTensor(gpu, f32(golden, 'pixel_values'), [4, 3, 60, 60], 'f32', 'pixels');
    await starve(async () => {
      const visual = await model.encodeVideo(pixels);
      const values = await readF32(gpu, visual);
      visual.buffer.destroy();
      return values;
    });
    const visual = await model.encodeVideo(pixels);
    const prompt = new Int32Array([5, 6, -200, 7, ...new Array(40).fill(8)]);
    await starve(async () => {
      const { language } = model;
      // So that every run allocates: the workspace stays otherwise.
      const embeds = language.embedPrompt(prompt, visual);
      const cache = language.createCache(64);
      try {
        const segment = cache.addSegment(64);
        const append = [{ segment, count: embeds.shape[0]! }];
        const hidden: GpuTensor = await language.forward({ cache, append, embeds });
        return await readF32(gpu, await language.logits(hidden, [0, embeds.shape[0]! - 1]));
      } finally {
        cache.destroy();
        embeds.buffer.destroy();
      }
    });
    for (const tensor of [pixels, visual]) tensor.buffer.destroy();
    await model.destroy();
    expect(errors).toEqual([]);
  });
});
