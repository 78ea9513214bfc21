import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Gpu } from '../../src/gpu/device';
import type { GpuTensor } from '../../src/gpu/tensor';
import { HeldBytes } from '../../src/weights/held-bytes';
import { fillFromCache, type TensorCache } from '../../src/weights/kept-tensors';

const MIB = 2 ** 20;
/** A fake buffer: what was written to it. */
const bufferOf = (size: number) => ({ bytes: new Uint8Array(size), written: 0 });
type FakeBuffer = ReturnType<typeof bufferOf>;

const gpu = {
  device: {
    queue: {
      writeBuffer(buffer: unknown, offset: number, data: Uint8Array, from = 0, size = data.length - from) {
        const fake = buffer as FakeBuffer;
        fake.bytes.set(data.subarray(from, from + size), offset);
        fake.written += size;
      },
      onSubmittedWorkDone: async () => undefined,
    },
  },
} as unknown as Gpu;

// 9 MiB of codes in 8 bits, and their scales.
const shape = [1024, 9216];
const CODES = 9 * MIB;
const SCALES = (1024 * 9216 * 4) / 32;
const all = Uint8Array.from({ length: CODES + SCALES }, (_, i) => (i * 7 + (i >> 12)) % 251);
let codes: FakeBuffer;
let scales: FakeBuffer;
let tensor: GpuTensor;
let inMemory: number[];
let held: HeldBytes;
beforeEach(() => {
  inMemory = [];
  held = new HeldBytes((bytes) => inMemory.push(bytes));
  codes = bufferOf(CODES);
  scales = bufferOf(SCALES);
  tensor = {
    buffer: codes as unknown as GPUBuffer,
    shape,
    dtype: 'q8',
    scales: { buffer: scales as unknown as GPUBuffer, shape: [1024, 288], dtype: 'f32' },
  };
});

/** What is kept of the tensor, in parts of those sizes. */
function cacheOf(sizes: readonly number[], broken = -1): TensorCache {
  const entry = { dtype: 'q8', shape, parts: sizes.map((bytes) => ({ bytes })) };
  return {
    tensors: new Map([['w', entry]]),
    async *read() {
      let at = 0;
      for (const [i, size] of sizes.entries()) {
        if (i === broken) throw new Error('damaged');
        yield all.slice(at, at + size);
        at += size;
      }
    },
    add: vi.fn(),
  };
}

describe('a kept tensor', () => {
  it.each([
    ['of today', [4 * MIB, 4 * MIB, MIB, SCALES]],
    ['of earlier versions', [8 * MIB, MIB, SCALES]],
    ['that reach over the end of the values', [8 * MIB, MIB + SCALES]],
  ])('is taken from parts %s', async (_, sizes) => {
    expect(await fillFromCache(gpu, cacheOf(sizes), 'w', tensor, held)).toBe(true);
    expect(Buffer.compare(codes.bytes, all.subarray(0, CODES))).toBe(0);
    expect(Buffer.compare(scales.bytes, all.subarray(CODES))).toBe(0);
    expect([codes.written, scales.written]).toEqual([CODES, SCALES]);
    // What is counted as held: a part and what waited before it, and nothing in the end.
    expect(Math.max(...inMemory)).toBeGreaterThanOrEqual(Math.max(...sizes));
    expect(Math.max(...inMemory)).toBeLessThan(Math.max(...sizes) + 4 * MIB);
    expect(inMemory.at(-1)).toBe(0);
  });

  it('is taken again where it is not whole, or its parts are not to be held in memory', async () => {
    expect(await fillFromCache(gpu, cacheOf([8 * MIB, MIB]), 'w', tensor, held)).toBe(false);
    expect(await fillFromCache(gpu, cacheOf([CODES + SCALES + 4]), 'w', tensor, held)).toBe(false);
    expect(await fillFromCache(gpu, cacheOf([8 * MIB - 1, MIB + 1, SCALES]), 'w', tensor, held)).toBe(false);
    expect(await fillFromCache(gpu, cacheOf([]), 'w', tensor, held)).toBe(false);
    expect(codes.written).toBe(0);
    expect(await fillFromCache(gpu, cacheOf([8 * MIB, MIB, SCALES], 1), 'w', tensor, held)).toBe(false);
    expect(await fillFromCache(gpu, cacheOf([]), 'other', tensor, held)).toBe(false);
    expect(inMemory.at(-1)).toBe(0);
  });
});
