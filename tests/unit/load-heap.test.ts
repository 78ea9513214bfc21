import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { syntheticRepository } from '../../src/cli/synthetic-hub/repository';
import { parseConfig } from '../../src/model/config';
import { defaultPrecision, tensorPrecision } from '../../src/model/precision';
import { expectedTensors } from '../../src/model/tensor-names';
import { openCheckpoint } from '../../src/weights/checkpoint';
import { loadWeights } from '../../src/weights/load-weights';
import { nodeCountingGpu } from '../support/counting';
import { publishedConfig, repositoryStore } from '../support/published-model';

const MB = 2 ** 20;

it('holds few bytes of a large model at a time, while they are converted and kept', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const config = await publishedConfig();
  const checkpoint = await openCheckpoint(repositoryStore(syntheticRepository(config, new Map())));
  expect(checkpoint.bytes).toBeGreaterThan(7e9);
  // The headers are those of the whole model; its values are zeros, and come a moment later, as from a network.
  let asked = 0;
  let mostAsked = 0;
  const source = (name: string, size: number) => ({
    name,
    size,
    read: async (start: number, end: number) => {
      asked += end - start;
      mostAsked = Math.max(mostAsked, asked);
      const bytes = new Uint8Array(end - start);
      await new Promise((resolve) => setTimeout(resolve, 1));
      asked -= end - start;
      return bytes;
    },
  });
  for (const tensor of checkpoint.tensors.values())
    tensor.source = source(tensor.source.name, tensor.source.size);
  const expected = expectedTensors(parseConfig(config));
  const stop = new AbortController();
  let kept = 0;
  // The first collection frees what it finds (tests of other files as well) in the background, the second one waits for that.
  collect();
  collect();
  const before = process.memoryUsage().arrayBuffers;
  let peak = 0;
  let samples = 0;
  let held = 0;
  let mostHeld = 0;
  const loading = loadWeights(nodeCountingGpu(), checkpoint, expected, {
    precision: tensorPrecision(expected, defaultPrecision(3.6e9, true)),
    signal: stop.signal,
    cache: {
      tensors: new Map(),
      read: () => {
        throw new Error('Nothing is there.');
      },
      add: async (_, parts) => {
        for await (const part of parts) kept += part.byteLength;
      },
    },
    onHeld: (bytes) => {
      held = bytes;
      mostHeld = Math.max(mostHeld, bytes);
    },
    onProgress: (done, total, _kept, files = []) => {
      const sum = (field: 'done' | 'total') => files.reduce((all, file) => all + file[field], 0);
      expect([sum('done'), sum('total')]).toEqual([done, total]);
      expect(files.length).toBe(2);
      if (done < (samples + 1) * 24 * MB) return;
      samples++;
      collect();
      collect();
      peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
      if (samples === 10) stop.abort(new Error('enough'));
    },
  });
  await expect(loading).rejects.toThrow('enough');
  expect(kept).toBeGreaterThan(30 * MB);
  expect(peak).toBeGreaterThan(8 * MB);
  // Six reads of at most 4 MiB, the part that is being kept with its copy, one read widened.
  expect(mostAsked).toBeGreaterThan(16 * MB);
  expect(mostAsked).toBeLessThanOrEqual(24 * MB);
  expect(mostHeld).toBeGreaterThanOrEqual(mostAsked);
  expect(mostHeld).toBeLessThanOrEqual(40 * MB);
  expect(held).toBe(0);
  // What is counted is what there is, but for the tensors' names and the like.
  expect(peak).toBeLessThan(mostHeld + 4 * MB);
});
