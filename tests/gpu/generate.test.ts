import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Generator } from '../../src/generate/generate';
import type { SampleRecord } from '../../src/generate/sampler';
import { type Gpu, openGpu } from '../../src/gpu/device';
import { type GpuTensor, uploadTensor } from '../../src/gpu/tensor';
import { type LoadStage, TinyLlava } from '../../src/model/tiny-llava';
import { goldenStore, loadGolden } from '../support/golden';

const GREEDY = { temperature: 0, top_k: 0, top_p: 1, seed: 1 };
const WARM = { temperature: 1.5, top_k: 50, top_p: 0.95, seed: 7 };

describe('generation with the golden checkpoint', () => {
  let gpu: Gpu;
  let model: TinyLlava;
  let generator: Generator;
  let visual: GpuTensor;
  let golden: Awaited<ReturnType<typeof loadGolden>>;
  const stages: LoadStage[] = [];
  const errors: string[] = [];

  beforeAll(async () => {
    gpu = await openGpu(navigator.gpu, (message) => errors.push(message));
    model = await TinyLlava.load(gpu, await goldenStore('checkpoint'), {
      validation: true,
      onProgress: (stage) => stages.push(stage),
    });
    generator = await Generator.create(gpu, model);
    golden = await loadGolden('lm.safetensors');
    const vision = await loadGolden('vision.safetensors');
    const tokens = vision.get('connector.output')!;
    visual = uploadTensor(
      gpu,
      tokens.data as Float32Array<ArrayBuffer>,
      tokens.shape.slice(1),
      'f32',
      'visual',
    );
  });
  afterAll(async () => {
    generator.destroy();
    visual.buffer.destroy();
    await model.destroy();
    gpu.close();
  });

  const ids = async (options: Partial<Parameters<Generator['generate']>[0]> = {}) => {
    const out: number[] = [];
    const prompt_ids = golden.get('prompt_ids')!.data as Int32Array;
    const request = { prompt_ids, visual, settings: GREEDY, max_new_tokens: 24, ...options };
    for await (const step of generator.generate(request)) for (const { record } of step) out.push(record.id);
    return out;
  };

  it('tells of every phase of loading', () => {
    expect(stages.some((s) => s.stage === 'weights' && s.done === s.total)).toBe(true);
    expect(stages.at(-1)).toEqual({ stage: 'compile', done: 3, total: 3 });
  });

  it('writes the greedy tokens of the original, with a video and without', async () => {
    expect(await ids()).toEqual([...(golden.get('greedy_ids')!.data as Int32Array)]);
    const prompt_ids = golden.get('text_only.prompt_ids')!.data as Int32Array;
    expect(await ids({ prompt_ids })).toEqual([...(golden.get('text_only.greedy_ids')!.data as Int32Array)]);
  });

  it('gives the same sampled tokens for the same seed, others for another', async () => {
    const first = await ids({ settings: WARM });
    expect(await ids({ settings: WARM })).toEqual(first);
    expect(await ids({ settings: { ...WARM, seed: 8 } })).not.toEqual(first);
    expect(first).not.toEqual([...(golden.get('greedy_ids')!.data as Int32Array)]);
  });

  it('reports logps that agree with the original for the greedy tokens', async () => {
    const margins = golden.get('greedy_margin')!.data as Float32Array;
    let position = 0;
    const prompt_ids = golden.get('prompt_ids')!.data as Int32Array;
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
    generator.forget();
    const before = gpu.memory.bytes;
    const prompt_ids = golden.get('prompt_ids')!.data as Int32Array;
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

  /** Records of every answer of a request, by sample. */
  const group = async (options: Partial<Parameters<Generator['generate']>[0]> = {}) => {
    const prompt_ids = golden.get('prompt_ids')!.data as Int32Array;
    const request = { prompt_ids, visual, settings: WARM, max_new_tokens: 24, ...options };
    const answers = Array.from({ length: options.num_generations ?? 1 }, (): SampleRecord[] => []);
    for await (const step of generator.generate(request))
      for (const { sample, record } of step) answers[sample]!.push(record);
    return answers;
  };
  const idsOf = (records: readonly SampleRecord[]) => records.map(({ id }) => id);
  const expectSame = (given: readonly SampleRecord[], wanted: readonly SampleRecord[]) => {
    expect(idsOf(given)).toEqual(idsOf(wanted));
    for (const [i, { logp }] of given.entries()) expect(logp).toBeCloseTo(wanted[i]!.logp, 3);
  };

  it('writes a group with ragged ends as it writes each answer alone', async () => {
    const max_new_tokens = 140;
    const alone: SampleRecord[][] = [];
    for (let i = 0; i < 4; i++) alone.push((await group({ max_new_tokens, first_sample: i }))[0]!);
    // The token that ends most of them in different places stands for the end of the text.
    const lengthsWith = (end: number) =>
      alone.map((records) => (idsOf(records).indexOf(end) + 1 || max_new_tokens) as number);
    const ragged = alone
      .flatMap(idsOf)
      .map((id) => ({ id, lengths: lengthsWith(id) }))
      .sort((a, b) => new Set(b.lengths).size - new Set(a.lengths).size)
      .find(({ lengths }) => lengths.includes(max_new_tokens))!;
    expect(new Set(ragged.lengths).size).toBeGreaterThan(2);
    const { tokenizer } = model;
    const eos = tokenizer.eos_token_id;
    Object.assign(tokenizer, { eos_token_id: ragged.id });
    try {
      const together = await group({ max_new_tokens, num_generations: 4 });
      for (const [i, records] of together.entries())
        expectSame(records, alone[i]!.slice(0, ragged.lengths[i]));
      const rows = ragged.lengths.reduce((sum, n) => sum + Math.min(n, max_new_tokens - 1), 0);
      expect(generator.use.kvBytes).toBe((generator.use.promptRows + rows) * 2 * 3 * 2 * 16 * 4);
    } finally {
      Object.assign(tokenizer, { eos_token_id: eos });
    }
  });

  it('reported no validation errors', () => expect(errors).toEqual([]));
});
