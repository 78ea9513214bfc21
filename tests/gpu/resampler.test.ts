import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BlockRuntimes } from '../../src/blocks/block-runtimes';
import { type Gpu, openGpu } from '../../src/gpu/device';
import { createTensor, type GpuTensor, readF32, uploadTensor } from '../../src/gpu/tensor';
import { TapRecorder } from '../../src/model/model-taps';
import { chunkSizes, Resampler } from '../../src/model/resampler';
import { roundToF16 } from '../../src/model/resampler-position-encoding';
import { VisionTower } from '../../src/model/vision-tower';
import type { Weights } from '../../src/weights/load-weights';
import type { TensorData } from '../../src/weights/tensor-data';
import { f32, loadGolden } from '../support/golden';
import { loadGoldenModel, relativeError } from '../support/golden-model';

const TOLERANCE = 2e-5;

// Both dense backends have to give the recorded values.
describe.each(['ort', 'wgsl'] as const)('%s', (backend) => {
  let gpu: Gpu;
  let weights: Weights;
  let tower: VisionTower;
  let resampler: Resampler;
  let golden: Map<string, TensorData>;

  beforeAll(async () => {
    gpu = await openGpu();
    golden = await loadGolden('vision.safetensors');
    const model = await loadGoldenModel(gpu);
    weights = model.weights;
    const runtime = await BlockRuntimes.create(gpu, { backend, validation: true });
    tower = await VisionTower.create(gpu, runtime, model.config, weights);
    resampler = await Resampler.create(gpu, runtime, model.config, weights);
  });
  afterAll(async () => {
    await tower?.destroy();
    await resampler?.destroy();
    weights?.destroy();
    gpu?.close();
  });

  function upload(values: Float32Array<ArrayBuffer>, shape: number[]): GpuTensor {
    return uploadTensor(gpu, values, shape, 'f32', 'golden');
  }

  describe('Resampler', () => {
    it('gives the recorded stages from the recorded features', async () => {
      const features = upload(f32(golden, 'vision.selected'), [60, 64]);
      const taps = new TapRecorder(gpu);
      const output = await resampler.forward(features, taps.tap);
      expect(output.shape).toEqual([8, 64]);
      for (const name of ['connector.linear', 'connector.before_pe', 'connector.output']) {
        expect(relativeError(taps.get(name), f32(golden, name)), name).toBeLessThan(TOLERANCE);
      }
      const table = f32(golden, 'connector.position_encoding');
      expect([...taps.get('connector.position_encoding')]).toEqual([...table]);
      expect(await readF32(gpu, output)).toEqual(taps.get('connector.output'));
      output.buffer.destroy();
      features.buffer.destroy();
    });

    it.each([1, 3])('cuts %i frames into groups of unequal sizes', async (frames) => {
      const values = f32(golden, 'pixel_values').slice(0, frames * 3 * 60 * 60);
      const pixels = upload(values, [frames, 3, 60, 60]);
      const features = await tower.encode(pixels);
      const output = await resampler.forward(features);
      const expected = f32(golden, `short${frames}.connector.output`);
      expect(relativeError(await readF32(gpu, output), expected)).toBeLessThan(TOLERANCE);
      for (const tensor of [pixels, features, output]) tensor.buffer.destroy();
    });

    it('frees what it allocates', async () => {
      await resampler.warmUp();
      const before = gpu.memory.bytes;
      await resampler.warmUp();
      expect(gpu.memory.bytes).toBe(before);
    });

    it('refuses fewer rows than groups', async () => {
      const x = createTensor(gpu, [3, 64], 'f32', 'x');
      await expect(resampler.forward(x)).rejects.toThrow('at least 4 rows');
      x.buffer.destroy();
    });
  });
});

describe('chunkSizes', () => {
  it('gives the first chunks what is left over', () => {
    expect(chunkSizes(60, 4)).toEqual([15, 15, 15, 15]);
    expect(chunkSizes(15, 4)).toEqual([4, 4, 4, 3]);
    expect(chunkSizes(728, 16)).toEqual([...new Array(8).fill(46), ...new Array(8).fill(45)]);
  });
});

describe('roundToF16', () => {
  it.each([
    [0, 0],
    [1, 1],
    [-1, -1],
    [0.1, 0.0999755859375],
    [1 + 2 ** -11, 1],
    [1 + 3 * 2 ** -11, 1 + 2 ** -9],
    [-(1 + 2 ** -11 + 2 ** -20), -(1 + 2 ** -10)],
    [2 ** -24, 2 ** -24],
    [2 ** -25, 0],
    [1.5 * 2 ** -24, 2 ** -23],
    [65504, 65504],
    [65520, Number.POSITIVE_INFINITY],
  ])('rounds %f to %f', (value, expected) => {
    expect(roundToF16(value)).toBe(expected);
  });
});
