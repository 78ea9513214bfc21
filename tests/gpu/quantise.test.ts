import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Gpu, openGpu } from '../../src/gpu/device';
import { createTensor, destroyTensor, readF32, readTensor } from '../../src/gpu/tensor';
import { openCheckpoint } from '../../src/weights/checkpoint';
import { memoryStore } from '../../src/weights/file-store';
import { loadWeights } from '../../src/weights/load-weights';
import {
  dequantise,
  fromHalves,
  quantise,
  relativeRms,
  toHalves,
} from '../../src/weights/quantise-reference';
import { Quantiser } from '../../src/weights/quantiser';
import { type FloatDtype, widenToF32 } from '../../src/weights/widen';
import { randomValues, uniforms } from '../support/random-values';
import { writeSafetensors } from '../support/safetensors-writer';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await openGpu();
});
afterAll(() => gpu?.close());

const TARGETS = ['q4', 'q8', 'f16'] as const;

/** Random values as a file stores them: blocks of all sizes, of zeros, of one value, with an outlier. */
function stored(dtype: FloatDtype, n: number, k: number, seed: number): Uint8Array<ArrayBuffer> {
  const next = uniforms(seed);
  const wide = randomValues(n * k, seed);
  for (let i = 0; i < wide.length; i++) {
    const kind = (Math.floor(i / k) + Math.floor((i % k) / 32)) % 7;
    if (kind === 1) wide[i] = 0;
    else if (kind === 2) wide[i] = -0.375;
    else if (kind === 3) wide[i]! *= 1e-4;
    else if (kind === 4) wide[i]! *= next() < 0.05 ? 1e3 : 1;
    else if (kind === 5) wide[i] = (i % k) % 2 ? 1e-20 * wide[i]! : 6e4 * Math.tanh(wide[i]!);
  }
  if (dtype === 'F32') return new Uint8Array(wide.buffer);
  if (dtype === 'F16') return new Uint8Array(toHalves(wide).buffer);
  const words = new Uint32Array(wide.buffer);
  return new Uint8Array(Uint16Array.from(words, (word) => word >>> 16).buffer);
}

describe.each(['F32', 'F16', 'BF16'] as const)('%s to', (dtype) => {
  it.each(TARGETS)(
    '%s: the same decisions as the reference, every word written, the error measured',
    async (to) => {
      for (const [n, k] of [
        [70, 76],
        [33, 160],
      ] as const) {
        const bytes = stored(dtype, n, k, n + k);
        const values = widenToF32(bytes, dtype);
        const width = bytes.byteLength / n;
        const parts = [bytes.subarray(0, 32 * width), bytes.subarray(32 * width)];
        const quantiser = await Quantiser.create(gpu, {
          conversions: [[dtype, to]],
          staging_bytes: bytes.byteLength,
          parts: 2,
        });
        const tensor = createTensor(gpu, [n, k], to, 'weight');
        for (const buffer of [tensor.buffer, tensor.scales?.buffer])
          if (buffer) gpu.device.queue.writeBuffer(buffer, 0, new Uint8Array(buffer.size).fill(0xff));
        for (const [i, part] of parts.entries())
          quantiser.convert('weight', tensor, { bytes: part.slice(), dtype, row: 32 * i });
        const got = await readTensor(gpu, tensor);
        const what = `${dtype} to ${to} [${n}, ${k}]`;
        let back: Float64Array;
        if (to === 'f16') {
          expect(got, what).toEqual(toHalves(values));
          back = fromHalves(got as Uint16Array);
        } else {
          const want = quantise(values, to, [n, k]);
          expect(await readF32(gpu, tensor.scales!), what).toEqual(want.scales);
          expect(got, what).toEqual(want.codes);
          back = dequantise(want, to, [n, k]);
        }
        const error = (await quantiser.errors()).get('weight')!;
        const exact = relativeRms(values, back);
        expect(Math.abs(error - exact), `${what}: ${error}, ${exact}`).toBeLessThan(1e-4 * exact + 1e-9);
        quantiser.destroy();
        destroyTensor(tensor);
      }
    },
  );
});

describe('loadWeights with precisions', () => {
  it('converts tensor by tensor, in several reads, and frees what it needed', async () => {
    const before = gpu.memory.bytes;
    const [n, k] = [3000, 1600];
    const values = randomValues(n * k, 3);
    const files = new Map<string, string | Uint8Array<ArrayBuffer>>([
      ['config.json', '{}'],
      [
        'model.safetensors',
        writeSafetensors(
          { norm: [1, 2, 3], big: values, small: values.slice(0, 96) },
          { big: [n, k], small: [2, 48] },
        ),
      ],
    ]);
    const checkpoint = await openCheckpoint(memoryStore(files));
    const used = new Map([
      ['norm', [3]],
      ['big', [n, k]],
      ['small', [2, 48]],
    ]);
    const weights = await loadWeights(
      gpu,
      checkpoint,
      { used, unused: new Map() },
      { precision: (name) => (name === 'norm' ? 'f32' : name === 'big' ? 'q8' : 'q4') },
    );
    expect([...(await readF32(gpu, weights.get('norm')))]).toEqual([1, 2, 3]);
    const big = weights.get('big');
    expect(big.dtype).toBe('q8');
    const codes = (await readTensor(gpu, big)) as Uint8Array;
    const scales = await readF32(gpu, big.scales!);
    // The first read ends before row 2592.
    for (const row of [0, 2591, 2592, n - 1]) {
      const want = quantise(values.subarray(row * k, (row + 1) * k), 'q8', [1, k]);
      expect(codes.slice(row * k, (row + 1) * k), `row ${row}`).toEqual(want.codes);
      expect(scales.slice((row * k) / 32, ((row + 1) * k) / 32), `row ${row}`).toEqual(want.scales);
    }
    const small = quantise(values.slice(0, 96), 'q4', [2, 48]);
    expect(await readTensor(gpu, weights.get('small'))).toEqual(small.codes);
    expect([...weights.errors.keys()].sort()).toEqual(['big', 'small']);
    expect(weights.errors.get('small')).toBeCloseTo(
      relativeRms(values.slice(0, 96), dequantise(small, 'q4', [2, 48])),
      6,
    );
    expect(gpu.memory.bytes - before).toBe(weights.bytes);
    weights.destroy();
    expect(gpu.memory.bytes).toBe(before);
  });
});
