import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Gpu } from '../../src/gpu/device';
import { GpuError, GpuMemoryError } from '../../src/gpu/errors';
import { GpuMemory } from '../../src/gpu/memory';
import { reopenGpu } from '../../src/gpu/reopen';

const MB = 2 ** 20;
const STORAGE = 0x80;
vi.stubGlobal('GPUBufferUsage', { STORAGE });
afterAll(() => vi.unstubAllGlobals());

/** A device with room for `room` bytes, which tells of a failure only through error scopes, as WebGPU does. */
function fakeDevice(room: number) {
  const scopes: { filter: string; error: object | null }[] = [];
  const created: number[] = [];
  let used = 0;
  const device = {
    limits: { maxBufferSize: 64 * MB, maxStorageBufferBindingSize: 32 * MB },
    pushErrorScope: (filter: string) => void scopes.push({ filter, error: null }),
    popErrorScope: async () => scopes.pop()!.error,
    createBuffer({ size }: GPUBufferDescriptor) {
      const filter = size > 64 * MB ? 'validation' : used + size > room ? 'out-of-memory' : undefined;
      const scope = scopes.findLast((candidate) => candidate.filter === filter);
      if (filter && !scope) throw new Error(`A ${filter} error that nobody catches.`);
      if (scope) scope.error = {};
      else {
        used += size;
        created.push(size);
      }
      return { size, destroy: () => void (used -= scope ? 0 : size) };
    },
  };
  return { device: device as unknown as GPUDevice, created, scopes };
}

describe('GpuMemory', () => {
  let fake: ReturnType<typeof fakeDevice>;
  let memory: GpuMemory;
  const make = (size: number, label = 'weights') => fake.device.createBuffer({ size, label, usage: STORAGE });
  beforeEach(() => {
    fake = fakeDevice(10 * MB);
    memory = GpuMemory.watch(fake.device);
  });

  it('counts, and is in no doubt about small buffers', async () => {
    const buffer = make(1000);
    expect(memory).toMatchObject({ bytes: 1000, buffers: 1, inDoubt: false });
    await memory.check();
    buffer.destroy();
    buffer.destroy();
    expect(memory).toMatchObject({ bytes: 0, peakBytes: 1000, buffers: 0 });
  });

  it('tells once of a buffer that the GPU refused, and goes on', async () => {
    const kept = make(6 * MB);
    const refused = make(6 * MB, 'k cache 3');
    expect(memory.inDoubt).toBe(true);
    const error = await memory.check().catch((cause) => cause);
    expect(error).toBeInstanceOf(GpuMemoryError);
    expect(error).toMatchObject({ code: 'out-of-memory', bytes: 6 * MB, label: 'k cache 3', why: 'full' });
    expect(error.message).toMatch(/6.29 MB of GPU memory were asked for \(k cache 3\).*6.29 MB are in use/);
    refused.destroy();
    expect(memory.bytes).toBe(kept.size);
    make(3 * MB);
    await memory.check();
    expect(fake.scopes).toEqual([]);
  });

  it.each([
    ['limit', 40 * MB, /41.9 MB .* and this GPU allows 33.6 MB in one buffer/],
    ['budget', 5 * MB, /5.24 MB .* and 1.05 MB of the 5.00 MB allowed are in use/],
  ] as const)('allocates nothing beyond the %s', async (why, size, message) => {
    if (why === 'budget') memory.budget = 5e6;
    make(MB);
    make(size).destroy();
    await expect(memory.check()).rejects.toThrow(message);
    expect(fake.created).toEqual([MB]);
    expect(memory.bytes).toBe(MB);
    await memory.check();
  });
});

describe('reopenGpu', () => {
  it('tries again while the GPU process starts, and gives up in the end', async () => {
    const pauses: number[] = [];
    const wait = async (ms: number) => void pauses.push(ms);
    const gpu = {} as Gpu;
    let left = 3;
    const open = async () => {
      if (left-- > 0) throw new GpuError('no-adapter', 'none');
      return gpu;
    };
    expect(await reopenGpu(open, wait)).toBe(gpu);
    expect(pauses).toEqual([0, 100, 200, 400]);
    left = Number.POSITIVE_INFINITY;
    await expect(reopenGpu(open, wait)).rejects.toThrow('none');
    const broken = async () => {
      throw new Error('broken');
    };
    pauses.length = 0;
    await expect(reopenGpu(broken, wait)).rejects.toThrow('broken');
    expect(pauses).toEqual([0]);
  });
});
