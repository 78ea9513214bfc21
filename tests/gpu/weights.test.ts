import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Gpu, openGpu } from '../../src/gpu/device';
import { readF32 } from '../../src/gpu/tensor';
import { parseConfig } from '../../src/model/config';
import { expectedTensors } from '../../src/model/tensor-names';
import { openCheckpoint } from '../../src/weights/checkpoint';
import { memoryStore } from '../../src/weights/file-store';
import { loadWeights } from '../../src/weights/load-weights';
import { f32, goldenJson, goldenStore, loadGolden } from '../support/golden';
import { writeSafetensors } from '../support/safetensors-writer';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await openGpu();
});
afterAll(() => gpu?.close());

const equal = (a: Float32Array, b: Float32Array) => a.length === b.length && a.every((x, i) => x === b[i]);

async function load(folder: string, file?: string) {
  const checkpoint = await openCheckpoint(await goldenStore(folder), file ? { weights: file } : {});
  const expected = expectedTensors(parseConfig(checkpoint.config));
  const progress: [number, number][] = [];
  const weights = await loadWeights(gpu, checkpoint, expected, {
    onProgress: (done, total) => void progress.push([done, total]),
  });
  return { weights, expected, progress };
}

describe('loadWeights', () => {
  it.each([
    ['F32', 'checkpoint', undefined, 'checkpoint/model.safetensors'],
    ['BF16', 'checkpoint', 'model-bf16.safetensors', 'checkpoint/model-bf16.safetensors'],
    ['sharded', 'checkpoint/sharded', undefined, 'checkpoint/model-bf16.safetensors'],
  ])('uploads every used tensor of the %s checkpoint exactly', async (_, folder, file, values) => {
    const before = gpu.memory.bytes;
    const { weights, expected, progress } = await load(folder, file);
    const golden = await loadGolden(values);
    expect(weights.names().sort()).toEqual([...expected.used.keys()].sort());
    for (const [name, shape] of expected.used) {
      expect(weights.get(name).shape).toEqual(shape);
      expect(equal(await readF32(gpu, weights.get(name)), f32(golden, name)), name).toBe(true);
    }
    const [loaded, total] = progress.at(-1)!;
    expect(loaded).toBe(total);
    expect(gpu.memory.bytes - before).toBe(weights.bytes);
    weights.destroy();
    expect(gpu.memory.bytes).toBe(before);
  });

  it('cuts a tensor larger than one read into several', async () => {
    const n = 5 * 2 ** 20;
    const values = new Float32Array(n).map((_, i) => Math.fround(Math.sin(i)));
    const files = new Map<string, string | Uint8Array<ArrayBuffer>>([
      ['config.json', '{}'],
      ['model.safetensors', writeSafetensors({ one: [3], big: values, last: [7] })],
    ]);
    const checkpoint = await openCheckpoint(memoryStore(files));
    const used = new Map([
      ['one', [1]],
      ['big', [n]],
      ['last', [1]],
    ]);
    const weights = await loadWeights(gpu, checkpoint, { used, unused: new Map() });
    expect(equal(await readF32(gpu, weights.get('big')), values)).toBe(true);
    expect([...(await readF32(gpu, weights.get('last')))]).toEqual([7]);
    weights.destroy();
  });

  it.each([
    ['NaN', Number.NaN],
    ['infinity', Number.NEGATIVE_INFINITY],
  ])('names the tensor that holds %s, and frees what it uploaded', async (_, value) => {
    const before = gpu.memory.bytes;
    const values = new Float32Array(6);
    values[4] = value;
    const files = new Map<string, string | Uint8Array<ArrayBuffer>>([
      ['config.json', '{}'],
      ['part.safetensors', writeSafetensors({ good: [1, 2], bad: values }, { bad: [3, 2] })],
    ]);
    const checkpoint = await openCheckpoint(memoryStore(files));
    const used = new Map([
      ['good', [2]],
      ['bad', [3, 2]],
    ]);
    await expect(loadWeights(gpu, checkpoint, { used, unused: new Map() })).rejects.toThrow(
      'part.safetensors: the tensor bad [3, 2] has a value that is NaN or infinite, at [2, 0].',
    );
    expect(gpu.memory.bytes).toBe(before);
  });

  it('frees what it uploaded when the signal stops it', async () => {
    const before = gpu.memory.bytes;
    const checkpoint = await openCheckpoint(await goldenStore());
    const expected = expectedTensors(parseConfig(await goldenJson('checkpoint/config.json')));
    const signal = AbortSignal.abort();
    await expect(loadWeights(gpu, checkpoint, expected, { signal })).rejects.toThrow(/abort/i);
    expect(gpu.memory.bytes).toBe(before);
  });
});
