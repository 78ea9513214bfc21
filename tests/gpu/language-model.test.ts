import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BlockRuntimes } from '../../src/blocks/block-runtimes';
import type { Gpu } from '../../src/gpu/device';
import { createTensor, type GpuTensor, readF32, uploadTensor, writeTensor } from '../../src/gpu/tensor';
import { LanguageModel } from '../../src/model/language-model';
import { TapRecorder } from '../../src/model/model-taps';
import type { Weights } from '../../src/weights/load-weights';
import type { TensorData } from '../../src/weights/tensor-data';
import { f32, i32, loadGolden } from '../support/golden';
import { loadGoldenModel, relativeError } from '../support/golden-model';
import { sharedGpu } from '../support/shared-gpu';

const TOLERANCE = 2e-5;
const VOCAB = 1024;

// Both dense backends have to give the recorded values.
describe.each(['ort', 'wgsl'] as const)('%s', (backend) => {
  let gpu: Gpu;
  let weights: Weights;
  let model: LanguageModel;
  let golden: Map<string, TensorData>;
  let visual: GpuTensor;

  beforeAll(async () => {
    gpu = await sharedGpu();
    golden = await loadGolden('lm.safetensors');
    const loaded = await loadGoldenModel(gpu);
    weights = loaded.weights;
    const runtime = await BlockRuntimes.create(gpu, { backend, validation: true });
    model = await LanguageModel.create(gpu, runtime, loaded.config, weights);
    const output = f32(await loadGolden('vision.safetensors'), 'connector.output');
    visual = uploadTensor(gpu, output, [8, 64], 'f32', 'visual tokens');
  });
  afterAll(async () => {
    await model?.destroy();
    visual?.buffer.destroy();
    weights?.destroy();
    gpu?.close();
  });

  function argmax(logits: Float32Array): number {
    let best = 0;
    for (const [i, value] of logits.entries()) if (value > logits[best]!) best = i;
    return best;
  }

  /** Prompt in one segment, then token by token, all of it kept on one cache. */
  async function greedy(prompt: Int32Array, steps: number, video?: GpuTensor): Promise<number[]> {
    const embeds = model.embedPrompt(prompt, video);
    const rows = embeds.shape[0]!;
    const cache = model.createCache(rows + steps);
    const segment = cache.addSegment(rows + steps);
    const token = createTensor(gpu, [1], 'i32', 'token');
    const ids: number[] = [];
    let hidden = await model.forward({ cache, append: [{ segment, count: rows }], embeds });
    let logits = await model.logits(hidden, [rows - 1]);
    for (;;) {
      const id = argmax(await readF32(gpu, logits));
      ids.push(id);
      if (ids.length === steps) break;
      writeTensor(gpu, token, new Int32Array([id]));
      hidden = await model.forward({ cache, append: [{ segment, count: 1 }], tokens: token });
      logits = await model.logits(hidden);
    }
    token.buffer.destroy();
    embeds.buffer.destroy();
    cache.destroy();
    return ids;
  }

  describe('LanguageModel', () => {
    it('gives the recorded embeddings, hidden states and logits', async () => {
      const embeds = model.embedPrompt(i32(golden, 'input_ids'), visual);
      expect(embeds.shape).toEqual([161, 64]);
      expect(relativeError(await readF32(gpu, embeds), f32(golden, 'inputs_embeds'))).toBeLessThan(TOLERANCE);
      const cache = model.createCache(161);
      const segment = cache.addSegment(161);
      const taps = new TapRecorder(gpu);
      const hidden = await model.forward({ cache, append: [{ segment, count: 161 }], embeds, tap: taps.tap });
      const names = ['hidden.0', 'hidden.1', 'hidden.2', 'hidden.3', 'hidden.final_norm'];
      expect(taps.names()).toEqual(names.map((name) => `lm.${name}`));
      for (const name of names) {
        expect(relativeError(taps.get(`lm.${name}`), f32(golden, name)), name).toBeLessThan(TOLERANCE);
      }
      const logits = await readF32(gpu, await model.logits(hidden));
      expect(relativeError(logits, f32(golden, 'logits'))).toBeLessThan(TOLERANCE);
      const some = await readF32(gpu, await model.logits(hidden, [160, 3, 160]));
      for (const [i, row] of [160, 3, 160].entries()) {
        const expected = f32(golden, 'logits').subarray(row * VOCAB, (row + 1) * VOCAB);
        expect(relativeError(some.subarray(i * VOCAB, (i + 1) * VOCAB), expected)).toBeLessThan(TOLERANCE);
      }
      embeds.buffer.destroy();
      cache.destroy();
    });

    it('writes the recorded greedy answers token by token', async () => {
      expect(await greedy(i32(golden, 'prompt_ids'), 24, visual)).toEqual([...i32(golden, 'greedy_ids')]);
      const text = i32(golden, 'text_only.prompt_ids');
      expect(await greedy(text, 24)).toEqual([...i32(golden, 'text_only.greedy_ids')]);
    });

    it('computes a prompt in parts as in one pass', async () => {
      const embeds = model.embedPrompt(i32(golden, 'input_ids'), visual);
      const values = await readF32(gpu, embeds);
      const found = new Float32Array(161 * 64);
      const cache = model.createCache(2 * 161);
      const [whole, parts] = [cache.addSegment(161), cache.addSegment(161)];
      const hidden = await model.forward({ cache, append: [{ segment: whole!, count: 161 }], embeds });
      const expected = await readF32(gpu, hidden);
      for (const [from, to] of [
        [0, 90],
        [90, 160],
        [160, 161],
      ] as const) {
        const some = uploadTensor(gpu, values.slice(64 * from, 64 * to), [to - from, 64], 'f32', 'part');
        const append = [{ segment: parts!, count: to - from }];
        found.set(await readF32(gpu, await model.forward({ cache, append, embeds: some })), 64 * from);
        some.buffer.destroy();
      }
      expect(relativeError(found, expected)).toBeLessThan(2e-6);
      embeds.buffer.destroy();
      cache.destroy();
    });

    it('decodes children of a shared prefix as if each had its own copy', async () => {
      const prompt = i32(golden, 'text_only.prompt_ids');
      const answers = [
        [5, 9, 700, 41, 8],
        [300, 2, 2, 77, 123],
        [999, 0, 512, 5, 6],
      ];
      const embeds = model.embedPrompt(prompt);
      const P = prompt.length;
      const cache = model.createCache(P + 3 * 5);
      const prefix = cache.addSegment(P);
      await model.forward({ cache, append: [{ segment: prefix, count: P }], embeds });
      const children = answers.map(() => cache.addSegment(5, prefix));
      const tokens = createTensor(gpu, [3], 'i32', 'tokens');
      const shared: Float32Array[] = [];
      for (let step = 0; step < 5; step++) {
        writeTensor(
          gpu,
          tokens,
          Int32Array.from(answers, (answer) => answer[step]!),
        );
        const append = children.map((segment) => ({ segment, count: 1 }));
        const hidden = await model.forward({ cache, append, tokens });
        shared.push(await readF32(gpu, await model.logits(hidden)));
      }
      // A child may also be given its rows at once, and the order of rows is the caller's.
      cache.clear();
      const again = cache.addSegment(P);
      await model.forward({ cache, append: [{ segment: again, count: P }], embeds });
      const [first, second] = [cache.addSegment(5, again), cache.addSegment(5, again)];
      const both = uploadTensor(gpu, Int32Array.from([...answers[1]!, ...answers[0]!]), [10], 'i32', 'both');
      const append = [
        { segment: second!, count: 5 },
        { segment: first!, count: 5 },
      ];
      const atOnce = await readF32(
        gpu,
        await model.logits(await model.forward({ cache, append, tokens: both })),
      );
      for (const [child, answer] of answers.entries()) {
        const sequence = Int32Array.from([...prompt, ...answer]);
        const own = model.embedPrompt(sequence);
        const ownCache = model.createCache(sequence.length);
        const segment = ownCache.addSegment(sequence.length);
        const hidden = await model.forward({
          cache: ownCache,
          append: [{ segment, count: sequence.length }],
          embeds: own,
        });
        const expected = await readF32(gpu, await model.logits(hidden));
        for (let step = 0; step < 5; step++) {
          const row = expected.subarray((P + step) * VOCAB, (P + step + 1) * VOCAB);
          const actual = shared[step]!.subarray(child * VOCAB, (child + 1) * VOCAB);
          expect(relativeError(actual, row), `child ${child} step ${step}`).toBeLessThan(TOLERANCE);
          if (child < 2) {
            const at = (1 - child) * 5 + step;
            const rowAtOnce = atOnce.subarray(at * VOCAB, (at + 1) * VOCAB);
            expect(relativeError(rowAtOnce, row), `child ${child} row ${step} at once`).toBeLessThan(
              TOLERANCE,
            );
          }
        }
        own.buffer.destroy();
        ownCache.destroy();
      }
      for (const tensor of [embeds, tokens, both]) tensor.buffer.destroy();
      cache.destroy();
    });

    it('gives the same bits from recorded steps, also where the cache grows and answers end', async () => {
      const prompt = i32(golden, 'text_only.prompt_ids');
      const embeds = model.embedPrompt(prompt);
      const tokens = createTensor(gpu, [3], 'i32', 'tokens');
      const run = async (tap?: () => Promise<void>) => {
        const cache = model.createCache(prompt.length + 3);
        const prefix = cache.addSegment(prompt.length);
        await model.forward({ cache, append: [{ segment: prefix, count: prompt.length }], embeds });
        let open = [1, 1, 1].map((rows) => cache.addSegment(rows, prefix));
        const found: Float32Array[] = [];
        for (let step = 0; step < 6; step++) {
          if (step === 1) {
            cache.grow(15);
            open = open.map((leaf) => cache.addSegment(5, leaf));
          }
          if (step === 4) open = open.slice(1);
          writeTensor(gpu, tokens, new Int32Array([7 * step, 900 - step, 3]));
          const append = open.map((segment) => ({ segment, count: 1 }));
          // A tap keeps a step from being recorded.
          found.push(
            await readF32(gpu, await model.forward({ cache, append, tokens, ...(tap ? { tap } : {}) })),
          );
        }
        cache.destroy();
        return found;
      };
      expect(await run()).toEqual(await run(async () => undefined));
      for (const tensor of [embeds, tokens]) tensor.buffer.destroy();
    });

    it('allocates nothing in a decode step', async () => {
      const cache = model.createCache(32);
      const segment = cache.addSegment(32);
      const token = createTensor(gpu, [1], 'i32', 'token');
      const step = async () => {
        const hidden = await model.forward({ cache, append: [{ segment, count: 1 }], tokens: token });
        await model.logits(hidden);
      };
      await step();
      await step();
      const { bytes, buffers } = gpu.memory;
      for (let i = 0; i < 5; i++) await step();
      expect([gpu.memory.bytes, gpu.memory.buffers]).toEqual([bytes, buffers]);
      token.buffer.destroy();
      cache.destroy();
    });

    it('warms up without leaving anything behind', async () => {
      await model.warmUp();
      const { bytes, buffers } = gpu.memory;
      await model.warmUp();
      expect([gpu.memory.bytes, gpu.memory.buffers]).toEqual([bytes, buffers]);
    });

    it('leaves the tree as it was when rows do not fit', async () => {
      const cache = model.createCache(4);
      const a = cache.addSegment(2);
      const b = cache.addSegment(2);
      expect(() => cache.addSegment(1)).toThrow('room for 0 more rows');
      const tokens = createTensor(gpu, [5], 'i32', 'tokens');
      const append = [
        { segment: a, count: 2 },
        { segment: b, count: 3 },
      ];
      await expect(model.forward({ cache, append, tokens })).rejects.toThrow('3 more do not fit');
      expect(cache.tree.segments.map((segment) => segment.length)).toEqual([0, 0]);
      tokens.buffer.destroy();
      cache.destroy();
    });
  });
});
