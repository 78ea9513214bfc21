import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GenerationError } from '../../src/generate/errors';
import type { Generator } from '../../src/generate/generate';
import type { SampleRecord } from '../../src/generate/sampler';
import { readF32 } from '../../src/gpu/tensor';
import { type GoldenGeneration, GREEDY, loadGeneration, WARM } from '../support/golden-generation';

describe('an answer of the golden checkpoint', () => {
  let use: GoldenGeneration;
  beforeAll(async () => {
    use = await loadGeneration();
  });
  afterAll(() => use.close());

  const ids = async (options: Partial<Parameters<Generator['generate']>[0]> = {}) =>
    (await use.group({ settings: GREEDY, ...options }))[0]!.map(({ id }) => id);

  it('tells of every phase of loading', () => {
    const { stages } = use;
    expect(stages.some((s) => s.stage === 'weights' && s.done === s.total)).toBe(true);
    expect(stages.at(-1)).toEqual({ stage: 'compile', done: 3, total: 3 });
  });

  it('writes the greedy tokens of the original, with a video and without', async () => {
    const { golden } = use;
    expect(await ids()).toEqual([...(golden.get('greedy_ids')!.data as Int32Array)]);
    const prompt_ids = golden.get('text_only.prompt_ids')!.data as Int32Array;
    expect(await ids({ prompt_ids })).toEqual([...(golden.get('text_only.greedy_ids')!.data as Int32Array)]);
  });

  it('gives the same sampled tokens for the same seed, others for another', async () => {
    const { golden } = use;
    const first = await ids({ settings: WARM });
    expect(await ids({ settings: WARM })).toEqual(first);
    expect(await ids({ settings: { ...WARM, seed: 8 } })).not.toEqual(first);
    expect(first).not.toEqual([...(golden.get('greedy_ids')!.data as Int32Array)]);
  });

  it('reports logps that agree with the original for the greedy tokens', async () => {
    const { generator, visual, golden, prompt_ids } = use;
    const margins = golden.get('greedy_margin')!.data as Float32Array;
    let position = 0;
    for await (const [token] of generator.generate({
      prompt_ids,
      visual,
      settings: GREEDY,
      max_new_tokens: 8,
    })) {
      const { record } = token!;
      expect(record.rank).toBe(0);
      expect(record.logp).toBeLessThan(0);
      const second = record.top[1]!;
      // Greedy reports the distribution at temperature 1: the gap of two logs is the gap of the logits.
      const gap = Math.log(record.top[0]!.probability) - Math.log(second.probability);
      expect(gap).toBeCloseTo(margins[position++]!, 3);
    }
  });

  it('can be stopped in the middle, and frees what it took', async () => {
    const { gpu, generator, visual, prompt_ids } = use;
    generator.forget();
    const before = gpu.memory.bytes;
    let seen = 0;
    for await (const _ of generator.generate({ prompt_ids, visual, settings: GREEDY, max_new_tokens: 24 })) {
      seen += 1;
      if (seen === 3) break;
    }
    expect(seen).toBe(3);
    generator.forget();
    expect(gpu.memory.bytes).toBe(before);
    expect((await ids()).length).toBe(24);
  });

  it('computes a long prompt in parts, tells of them, and can be stopped between them', async () => {
    const { gpu, model, golden, group } = use;
    const short = golden.get('text_only.prompt_ids')!.data as Int32Array;
    const prompt_ids = Int32Array.from({ length: 700 }, (_, i) => short[i % short.length]!);
    const { language } = model;
    const embeds = language.embedPrompt(prompt_ids);
    const cache = language.createCache(700);
    const append = [{ segment: cache.addSegment(700), count: 700 }];
    const whole = await readF32(
      gpu,
      await language.logits(await language.forward({ cache, append, embeds }), [699]),
    );
    cache.destroy();
    embeds.buffer.destroy();

    const told: number[][] = [];
    const onPrefill = (...progress: number[]) => told.push(progress);
    const [[record]] = (await group({ prompt_ids, settings: GREEDY, max_new_tokens: 1, onPrefill })) as [
      [SampleRecord],
    ];
    expect(record.id).toBe(whole.indexOf(Math.max(...whole)));
    const sum = whole.reduce((total, x) => total + Math.exp(x - whole[record.id]!), 0);
    expect(record.logp).toBeCloseTo(-Math.log(sum), 3);
    expect(told).toEqual([
      [512, 700],
      [700, 700],
    ]);
    const stop = new AbortController();
    const nothing = await group({ prompt_ids, signal: stop.signal, onPrefill: () => stop.abort() });
    expect(nothing).toEqual([[]]);
  });

  it('says before it computes what cannot be served', async () => {
    const { generator, prompt_ids, group } = use;
    const attempt = (options: object) => group({ prompt_ids, max_new_tokens: 4, ...options });
    await attempt({});
    const { promptRows } = generator.use;
    await expect(attempt({ forced: [1024] })).rejects.toThrow(/token 1024, which does not exist/);
    await expect(attempt({ num_generations: 0 })).rejects.toThrow(/num_generations/);
    await expect(attempt({ settings: { ...WARM, top_p: 2 } })).rejects.toThrow(/top_p/);
    await expect(attempt({ max_new_tokens: 9000 })).rejects.toMatchObject({
      code: 'too-long',
      suggestions: { max_new_tokens: 8192 - promptRows },
    });
  });

  it('says what would fit where memory is short, before it begins or in the middle', async () => {
    const { gpu, generator, visual, prompt_ids, group } = use;
    const settings = GREEDY;
    const wanted = { settings, num_generations: 4, max_new_tokens: 100 };
    const rowBytes = 2 * 3 * 2 * 16 * 4;
    await group({ ...wanted, max_new_tokens: 2 });
    generator.forget();
    const free = gpu.memory.bytes;
    // Room for the prompt's embeddings, its 124 rows and 250 more, and a layer twice while the cache grows.
    gpu.memory.budget = free + 124 * 64 * 4 + Math.ceil((124 + 250) * rowBytes * (4 / 3));
    const refused = await group(wanted).catch((cause: unknown) => cause);
    expect(refused).toMatchObject({
      code: 'out-of-memory',
      title: 'Not enough GPU memory for 4 answers.',
      suggestions: { num_generations: 2, max_new_tokens: 62 },
    });
    expect(gpu.memory.bytes).toBeLessThanOrEqual(free);
    // What it names does fit, the buffers of passes aside.
    gpu.memory.budget += 200_000;
    const { num_generations = 0 } = (refused as GenerationError).suggestions;
    expect((await group({ ...wanted, num_generations })).map(({ length }) => length)).toEqual([100, 100]);

    gpu.memory.budget = Number.POSITIVE_INFINITY;
    let steps = 0;
    const write = async () => {
      const request = { prompt_ids, visual, settings, max_new_tokens: 140, num_generations: 2 };
      for await (const _ of generator.generate(request))
        if (++steps === 3) gpu.memory.budget = gpu.memory.bytes;
    };
    await expect(write()).rejects.toMatchObject({
      code: 'out-of-memory',
      suggestions: { num_generations: 1, max_new_tokens: 128 },
    });
    expect(steps).toBeGreaterThan(120);
    gpu.memory.budget = Number.POSITIVE_INFINITY;
    expect(gpu.memory.bytes).toBeLessThanOrEqual(free);
  });

  it('reported no validation errors', () => expect(use.errors).toEqual([]));
});
