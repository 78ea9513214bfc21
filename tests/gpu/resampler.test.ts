import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BlockRuntimes } from '../../src/blocks/block-runtimes';
import type { Gpu } from '../../src/gpu/device';
import { createTensor, type GpuTensor, readF32, uploadTensor } from '../../src/gpu/tensor';
import { parseConfig } from '../../src/model/config';
import { TapRecorder } from '../../src/model/model-taps';
import { Resampler } from '../../src/model/resampler';
import { chunkSizes } from '../../src/model/resampler-batches';
import { roundToF16 } from '../../src/model/resampler-position-encoding';
import { VisionTower } from '../../src/model/vision-tower';
import type { Weights } from '../../src/weights/load-weights';
import type { TensorData } from '../../src/weights/tensor-data';
import { normals, seeded } from '../support/attention-cases';
import { f32, goldenJson, loadGolden } from '../support/golden';
import { loadGoldenModel, relativeError } from '../support/golden-model';
import { resamplerReference } from '../support/resampler-reference';
import { sharedGpu } from '../support/shared-gpu';

const TOLERANCE = 2e-5;

// Both dense backends have to give the recorded values.
describe.each(['ort', 'wgsl'] as const)('%s', (backend) => {
  let gpu: Gpu;
  let weights: Weights;
  let runtime: BlockRuntimes;
  let tower: VisionTower;
  let resampler: Resampler;
  let naive: Resampler;
  let golden: Map<string, TensorData>;
  let checkpoint: Map<string, TensorData>;

  beforeAll(async () => {
    gpu = await sharedGpu();
    golden = await loadGolden('vision.safetensors');
    checkpoint = await loadGolden('checkpoint/model.safetensors');
    const model = await loadGoldenModel(gpu);
    weights = model.weights;
    runtime = await BlockRuntimes.create(gpu, { backend, validation: true });
    tower = await VisionTower.create(gpu, runtime, model.config, weights);
    resampler = await Resampler.create(gpu, runtime, model.config, weights);
    naive = await makeNaive(gpu, runtime, weights);
  });
  afterAll(async () => {
    await tower?.destroy();
    await resampler?.destroy();
    await naive?.destroy();
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
      for (const each of [resampler, naive]) {
        await each.warmUp();
        const before = gpu.memory.bytes;
        await each.warmUp();
        expect(gpu.memory.bytes).toBe(before);
      }
    });

    it('refuses fewer rows than groups', async () => {
      const x = createTensor(gpu, [3, 64], 'f32', 'x');
      await expect(resampler.forward(x)).rejects.toThrow('at least 4 rows');
      x.buffer.destroy();
    });
  });

  describe('naive Resampler', () => {
    it('gives the recorded stages from the recorded features', async () => {
      const recorded = await loadGolden('naive-resampler.safetensors');
      const features = upload(f32(golden, 'vision.selected'), [60, 64]);
      const taps = new TapRecorder(gpu);
      const output = await naive.forward(features, taps.tap);
      // PyTorch's exp is one last bit off for one frequency, which moves one of 3840 values by a step of float16.
      const table = taps.get('connector.position_encoding');
      const steps = f32(recorded, 'position_encoding').map((value, i) => Math.abs(value - table[i]!));
      expect(steps.filter((step) => step > 0)).toEqual(new Float32Array([2 ** -11]));
      const linear = (media: Float32Array, at: Float32Array) => media.map((value, i) => value - at[i]!);
      const recordedLinear = linear(f32(recorded, 'media'), f32(recorded, 'position_encoding'));
      expect(relativeError(linear(taps.get('connector.media'), table), recordedLinear)).toBeLessThan(
        TOLERANCE,
      );
      expect(relativeError(await readF32(gpu, output), f32(recorded, 'output'))).toBeLessThan(TOLERANCE);
      for (const tensor of [features, output]) tensor.buffer.destroy();
    });

    it.each([1, 3])('takes %i frames', async (frames) => {
      const recorded = f32(await loadGolden('naive-resampler.safetensors'), `short${frames}.output`);
      const features = upload(f32(golden, 'vision.selected').slice(0, frames * 15 * 64), [frames * 15, 64]);
      const output = await naive.forward(features);
      expect(relativeError(await readF32(gpu, output), recorded)).toBeLessThan(TOLERANCE);
      for (const tensor of [features, output]) tensor.buffer.destroy();
    });
  });

  it('gives the values of all features at once when they come in parts', async () => {
    const values = normals(seeded(65), 60 * 64);
    const features = upload(values, [60, 64]);
    const own = f32(await loadGolden('naive-resampler.safetensors'), 'latents');
    // Two groups of 15 rows at a time, and parts of 7 rows of one group.
    const cases: [number, number[]][] = [
      [30, [30, 30]],
      [7, [7, 7, 1, 7, 7, 1, 7, 7, 1, 7, 7, 1]],
    ];
    for (const [feature_rows, parts] of cases) {
      const small = await Resampler.create(gpu, runtime, resampler.config, weights, { feature_rows });
      await expectSame(resampler, small, features, 'connector.linear', parts);
      await small.destroy();
    }
    const latents = uploadTensor(gpu, own, [8, 64], 'f32', 'latents');
    const source = {
      get: (name: string) => (name.endsWith('.latents') ? latents : weights.get(name)),
    };
    const small = await Resampler.create(gpu, runtime, naive.config, source, { feature_rows: 25 });
    await expectSame(naive, small, features, 'connector.media', [25, 25, 10]);
    await small.destroy();
    for (const { buffer } of [latents, features]) buffer.destroy();
  });

  async function expectSame(
    whole: Resampler,
    small: Resampler,
    features: GpuTensor,
    stage: string,
    parts: number[],
  ): Promise<void> {
    const [expected, actual] = [new TapRecorder(gpu), new TapRecorder(gpu)];
    const rows: number[] = [];
    (await whole.forward(features, expected.tap)).buffer.destroy();
    const output = await small.forward(features, (name, tensor) => {
      if (name === stage) rows.push(tensor.shape[0]!);
      return actual.tap(name, tensor);
    });
    expect(rows).toEqual(parts);
    // Kernels for other numbers of rows add up in another order.
    for (const name of expected.names())
      expect(relativeError(actual.get(name), expected.get(name)), name).toBeLessThan(TOLERANCE);
    output.buffer.destroy();
  }

  it('gives the reference of 64 frames, one a second of a longer video', async () => {
    const values = normals(seeded(64), 64 * 15 * 64);
    const features = upload(values, [64 * 15, 64]);
    for (const [each, latents] of [
      [resampler, undefined],
      [naive, f32(await loadGolden('naive-resampler.safetensors'), 'latents')],
    ] as const) {
      const output = await each.forward(features);
      const reference = resamplerReference(
        each.config,
        (name) => (name === 'latents' && latents) || f32(checkpoint, `connector._connector.${name}`),
        values,
      );
      expect(relativeError(await readF32(gpu, output), reference)).toBeLessThan(TOLERANCE);
      output.buffer.destroy();
    }
    features.buffer.destroy();
  });
});

/** The golden checkpoint with the recorded naive resampler's own latents: the other tensors are the same. */
async function makeNaive(gpu: Gpu, runtime: BlockRuntimes, weights: Weights): Promise<Resampler> {
  const config = parseConfig({
    ...(await goldenJson<Record<string, unknown>>('checkpoint/config.json')),
    connector_type: 'naiveresampler',
  });
  const values = f32(await loadGolden('naive-resampler.safetensors'), 'latents');
  const latents = uploadTensor(gpu, values, [8, 64], 'f32', 'latents');
  return Resampler.create(gpu, runtime, config, {
    get: (name) => (name.endsWith('.latents') ? latents : weights.get(name)),
  });
}

describe('resamplerReference', () => {
  it('gives the recorded values of both resamplers', async () => {
    const checkpoint = await loadGolden('checkpoint/model.safetensors');
    const vision = await loadGolden('vision.safetensors');
    const recorded = await loadGolden('naive-resampler.safetensors');
    const json = await goldenJson<Record<string, unknown>>('checkpoint/config.json');
    const x = f32(vision, 'vision.selected');
    const weight = (name: string) => f32(checkpoint, `connector._connector.${name}`);
    const group = resamplerReference(parseConfig(json), weight, x);
    expect(relativeError(group, f32(vision, 'connector.output'))).toBeLessThan(TOLERANCE);
    const naive = resamplerReference(
      parseConfig({ ...json, connector_type: 'naiveresampler' }),
      (name) => (name === 'latents' ? f32(recorded, 'latents') : weight(name)),
      x,
    );
    expect(relativeError(naive, f32(recorded, 'output'))).toBeLessThan(TOLERANCE);
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
