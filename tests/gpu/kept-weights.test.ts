import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Gpu, openGpu } from '../../src/gpu/device';
import { type GpuTensor, readTensor } from '../../src/gpu/tensor';
import { parseConfig } from '../../src/model/config';
import { expectedTensors } from '../../src/model/tensor-names';
import { KeptModels } from '../../src/storage/kept-models';
import { sha256 } from '../../src/storage/sha256';
import { type Checkpoint, openCheckpoint } from '../../src/weights/checkpoint';
import { loadWeights, type Weights } from '../../src/weights/load-weights';
import { goldenStore } from '../support/golden';
import { MemoryFolder, MemoryLocks } from '../support/memory-folder';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await openGpu();
});
afterAll(() => gpu?.close());

const SOURCE = { source: 'somewhere', revision: 'a', precision: 'language q4' };
/** Bytes read of the weights' files. */
let read = 0;
/** Reads fail once so many bytes were read. */
let readable = Number.POSITIVE_INFINITY;
let folder: MemoryFolder;
beforeEach(() => {
  folder = new MemoryFolder();
  read = 0;
  readable = Number.POSITIVE_INFINITY;
});

async function openCounted(): Promise<Checkpoint> {
  const checkpoint = await openCheckpoint(await goldenStore('checkpoint/sharded'));
  for (const { source } of checkpoint.tensors.values()) {
    if (Object.hasOwn(source, 'counted')) continue;
    const original = source.read.bind(source);
    Object.assign(source, {
      counted: true,
      read: async (start: number, end: number) => {
        if (read + end - start > readable) throw new Error('The connection broke off.');
        read += end - start;
        return original(start, end);
      },
    });
  }
  return checkpoint;
}

async function load(told: unknown[] = []): Promise<Weights> {
  const checkpoint = await openCounted();
  const cache = await new KeptModels(folder, new MemoryLocks()).open(SOURCE, 'golden', 1);
  try {
    return await loadWeights(gpu, checkpoint, expectedTensors(parseConfig(checkpoint.config)), {
      precision: (name) => (/layers\.\d+\.mlp\.\w+\.weight$/.test(name) ? 'q4' : 'f32'),
      cache,
      onNotKept: (cause) => void told.push(cause),
    });
  } finally {
    cache.close();
  }
}

/** Checksums of the weights' bytes, and the errors of their quantisation. */
async function contents(weights: Weights) {
  const sums: Record<string, string> = {};
  const sumOf = async (tensor: GpuTensor) =>
    sha256(new Uint8Array((await readTensor(gpu, tensor)).slice().buffer));
  for (const name of weights.names()) {
    const tensor = weights.get(name);
    sums[name] = await sumOf(tensor);
    if (tensor.scales) sums[`${name} scales`] = await sumOf(tensor.scales);
  }
  const errors = [...weights.errors].sort();
  weights.destroy();
  return { sums, errors };
}

describe('weights that were kept', () => {
  it('are the same in a later visit, and nothing is read for them', async () => {
    const first = await contents(await load());
    expect(read).toBeGreaterThan(100_000);
    expect(first.errors.length).toBeGreaterThan(3);
    read = 0;
    expect(await contents(await load())).toEqual(first);
    expect(read).toBe(0);
  });

  it('go on where loading broke off, and a damaged one alone is read again', async () => {
    readable = 1e9;
    const whole = await contents(await load());
    const all = read;
    folder = new MemoryFolder();
    read = 0;
    readable = all - 200_000;
    const before = gpu.memory.bytes;
    await expect(load()).rejects.toThrow('broke off');
    expect(gpu.memory.bytes).toBe(before);
    read = 0;
    readable = 1e9;
    expect(await contents(await load())).toEqual(whole);
    const rest = read;
    expect(rest).toBeLessThan(all);
    const path = [...folder.files.keys()].find((name) => name.endsWith('weights.bin'))!;
    folder.files.get(path)!.fill(7, 5000, 5010);
    read = 0;
    expect(await contents(await load())).toEqual(whole);
    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThan(all / 2);
  });

  it('are loaded where storage is full too, which is told', async () => {
    const told: unknown[] = [];
    const cache = new KeptModels(folder, new MemoryLocks());
    (await cache.open(SOURCE, 'golden', 1)).close();
    const append = folder.append.bind(folder);
    folder.append = async (path, content) => {
      if ((folder.files.get(path)?.length ?? 0) > 50_000) folder.full = true;
      return append(path, content);
    };
    const weights = await load(told);
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({ code: 'full' });
    expect(weights.names().length).toBeGreaterThan(50);
    weights.destroy();
  });
});
