import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BlockRuntimes } from '../../src/blocks/block-runtimes';
import type { Gpu } from '../../src/gpu/device';
import { type GpuTensor, readF32, uploadTensor } from '../../src/gpu/tensor';
import type { TinyLlavaConfig } from '../../src/model/config';
import { TapRecorder } from '../../src/model/model-taps';
import { VisionTower } from '../../src/model/vision-tower';
import type { Weights } from '../../src/weights/load-weights';
import type { TensorData } from '../../src/weights/tensor-data';

import { f32, loadGolden } from '../support/golden';
import { loadGoldenModel, relativeError } from '../support/golden-model';
import { sharedGpu } from '../support/shared-gpu';

const TOLERANCE = 2e-5;

// Both dense backends have to give the recorded values.
describe.each(['ort', 'wgsl'] as const)('%s', (backend) => {
  let gpu: Gpu;
  let runtime: BlockRuntimes;
  let weights: Weights;
  let config: TinyLlavaConfig;
  let tower: VisionTower;
  let golden: Map<string, TensorData>;

  beforeAll(async () => {
    gpu = await sharedGpu();
    runtime = await BlockRuntimes.create(gpu, { backend, validation: true });
    golden = await loadGolden('vision.safetensors');
    const model = await loadGoldenModel(gpu);
    weights = model.weights;
    config = model.config;
    tower = await VisionTower.create(gpu, runtime, config, weights);
  });
  afterAll(async () => {
    await tower?.destroy();
    weights?.destroy();
    gpu?.close();
  });

  /** The first frames of the golden clip. */
  function uploadPixels(frames: number): GpuTensor {
    const values = f32(golden, 'pixel_values').slice(0, frames * 3 * 60 * 60);
    return uploadTensor(gpu, values, [frames, 3, 60, 60], 'f32', 'pixels');
  }

  it('gives the recorded hidden states and selected features', async () => {
    const pixels = uploadPixels(4);
    const taps = new TapRecorder(gpu);
    const features = await tower.encode(pixels, taps.tap);
    expect(features.shape).toEqual([4 * 15, 64]);
    // The output of the last layer is not selected, so it is not computed.
    expect(taps.names()).toEqual(['vision.hidden.0', 'vision.hidden.1', 'vision.hidden.2']);
    for (const name of taps.names()) {
      expect(relativeError(taps.get(name), f32(golden, name)), name).toBeLessThan(TOLERANCE);
    }
    expect(relativeError(await readF32(gpu, features), f32(golden, 'vision.selected'))).toBeLessThan(
      TOLERANCE,
    );
    features.buffer.destroy();
    pixels.buffer.destroy();
  });

  it('runs the layers that vision_feature_layer asks for, and keeps the first patch for cls_patch', async () => {
    const change = { vision_feature_layer: -1, vision_feature_select_strategy: 'cls_patch' };
    const model = await loadGoldenModel(gpu, change);
    const deep = await VisionTower.create(gpu, runtime, model.config, model.weights);
    const pixels = uploadPixels(4);
    const features = await deep.encode(pixels);
    expect(features.shape).toEqual([4 * 16, 64]);
    expect(relativeError(await readF32(gpu, features), f32(golden, 'vision.hidden.3'))).toBeLessThan(
      TOLERANCE,
    );
    features.buffer.destroy();
    pixels.buffer.destroy();
    await deep.destroy();
    model.weights.destroy();
  });

  it('gives the same in batches', async () => {
    const twoFrames = 2 * 16 * config.vision_config.intermediate_size * 4;
    const small = await VisionTower.create(gpu, runtime, config, weights, { batch_bytes: twoFrames });
    const pixels = uploadPixels(3);
    const features = await small.encode(pixels);
    const found = await readF32(gpu, features);
    const expected = f32(golden, 'vision.selected').subarray(0, 3 * 15 * 64);
    expect(relativeError(found, expected)).toBeLessThan(TOLERANCE);
    const once = await tower.encode(pixels);
    expect(relativeError(found, await readF32(gpu, once))).toBeLessThan(2e-6);
    for (const { buffer } of [features, once]) buffer.destroy();
    pixels.buffer.destroy();
    await small.destroy();
  });

  it('frees what it allocates', async () => {
    runtime.trim();
    const before = gpu.memory.bytes;
    await tower.warmUp();
    // The runtime keeps buffers of its own from run to run; our kernels' are given back.
    const kept = gpu.memory.bytes;
    if (backend === 'wgsl') expect(kept).toBe(before);
    await tower.warmUp();
    expect(gpu.memory.bytes).toBe(kept);
  });

  it('refuses pixels of another size', async () => {
    const pixels = uploadTensor(gpu, new Float32Array(3 * 16), [1, 3, 4, 4], 'f32', 'pixels');
    await expect(tower.encode(pixels)).rejects.toThrow('[frames, 3, 60, 60]');
    pixels.buffer.destroy();
  });
});
