import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BatchGenerator } from '../../src/generate/batch-generator';
import { Generator } from '../../src/generate/generate';
import type { SampleRecord } from '../../src/generate/sampler';
import { AnswerWriter } from '../../src/worker/answer-writer';
import type { EngineEvent, EngineRequest } from '../../src/worker/protocol';
import { type GoldenGeneration, GREEDY, loadGeneration, WARM } from '../support/golden-generation';

type AskRequest = Extract<EngineRequest, { type: 'ask' }>;

const idsOf = (records: readonly SampleRecord[]) => records.map(({ id }) => id);

function expectSame(given: readonly SampleRecord[], wanted: readonly SampleRecord[]): void {
  expect(idsOf(given)).toEqual(idsOf(wanted));
  for (const [i, { logp }] of given.entries()) expect(logp).toBeCloseTo(wanted[i]!.logp, 3);
}

describe('groups and forks of the golden checkpoint', () => {
  let use: GoldenGeneration;
  beforeAll(async () => {
    use = await loadGeneration();
  });
  afterAll(() => use.close());

  it('writes a group with ragged ends as it writes each answer alone', async () => {
    const { model, generator, group } = use;
    const max_new_tokens = 140;
    const alone: SampleRecord[][] = [];
    for (let i = 0; i < 3; i++) alone.push((await group({ max_new_tokens, first_sample: i }))[0]!);
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
      const together = await group({ max_new_tokens, num_generations: 3 });
      for (const [i, records] of together.entries())
        expectSame(records, alone[i]!.slice(0, ragged.lengths[i]));
      const rows = ragged.lengths.reduce((sum, n) => sum + Math.min(n, max_new_tokens - 1), 0);
      expect(generator.use.kvBytes).toBe((generator.use.promptRows + rows) * 2 * 3 * 2 * 16 * 4);
    } finally {
      Object.assign(tokenizer, { eos_token_id: eos });
    }
  });

  it('answers several prompts side by side as each alone, whatever fits at once', async () => {
    const { gpu, model, generator, visual, golden, prompt_ids, group } = use;
    const max_new_tokens = 30;
    const text = golden.get('text_only.prompt_ids')!.data as Int32Array;
    const prompts = [
      { prompt_ids, visual, question: 4 },
      { prompt_ids: text, question: 9 },
      { prompt_ids: Int32Array.from([...text, ...text.subarray(1, 9)]), question: 2 },
    ];
    const answers = [
      { sample: 0, settings: WARM },
      { sample: 3, settings: WARM },
      { sample: 0, settings: GREEDY },
    ];
    const alone: SampleRecord[][][] = [];
    for (const prompt of prompts) {
      const own: SampleRecord[][] = [];
      for (const { sample, settings } of answers)
        own.push((await group({ ...prompt, settings, first_sample: sample, max_new_tokens }))[0]!);
      alone.push(own);
    }
    const { tokenizer } = model;
    const eos = tokenizer.eos_token_id;
    const end = idsOf(alone[1]![0]!)[7]!;
    Object.assign(tokenizer, { eos_token_id: end });
    generator.forget();
    const batch = await BatchGenerator.create(gpu, model);
    const before = gpu.memory.buffers;
    try {
      for (const prompts_at_once of [3, 2]) {
        const together = prompts.map(() => answers.map((): SampleRecord[] => []));
        for await (const step of batch.generate({ prompts, answers, max_new_tokens, prompts_at_once }))
          for (const { prompt, answer, record } of step) together[prompt]![answer]!.push(record);
        const lengths = new Set<number>();
        for (const [p, own] of alone.entries()) {
          for (const [a, records] of own.entries()) {
            const stop = idsOf(records).indexOf(end) + 1 || max_new_tokens;
            lengths.add(stop);
            expectSame(together[p]![a]!, records.slice(0, stop));
          }
        }
        expect(lengths.size).toBeGreaterThan(1);
      }
      // Draws and logits have grown; caches and embeddings are gone.
      expect(gpu.memory.buffers - before).toBeLessThan(8);
    } finally {
      Object.assign(tokenizer, { eos_token_id: eos });
      batch.destroy();
    }
  });

  it('forks an answer at any token, and forks forks, without computing what is there', async () => {
    const { generator, golden, group } = use;
    const settings = GREEDY;
    const answers = await group({ settings: WARM, num_generations: 3, max_new_tokens: 30 });
    const answer = idsOf(answers[1]!);
    const computed: number[] = [];
    const onPrefill = (rows: number, total: number) => rows === total && computed.push(total);
    const fork = async (forced: readonly number[], options: object = {}) =>
      (await group({ settings, forced, onPrefill, max_new_tokens: 10, ...options }))[0]!;
    const other = (records: readonly SampleRecord[], position: number) =>
      [...idsOf(records).slice(0, position), records[position]!.top[1]!.id] as const;

    // With the token that was drawn, settings and sample as they were, it is the same answer again.
    const again = await fork(answer.slice(0, 18), { settings: WARM, first_sample: 1, max_new_tokens: 12 });
    expectSame(again, answers[1]!.slice(18));
    // Another token in the middle, the same answer left later and earlier, then the last token and the first.
    const forks = [
      other(answers[1]!, 17),
      other(answers[1]!, 25),
      other(answers[1]!, 4),
      answer,
      other(answers[2]!, 0),
    ];
    const kept: SampleRecord[][] = [];
    for (const forced of forks) kept.push(await fork(forced));
    // A fork of the first fork, five tokens into it.
    const deeper = [...forks[0]!, ...idsOf(kept[0]!.slice(0, 5)), kept[0]![5]!.top[1]!.id];
    kept.push(await fork(deeper));
    expect(computed).toEqual(computed.map(() => 1));
    expect(generator.use.kvBytes).toBe((generator.use.promptRows + deeper.length + 9) * 2 * 3 * 2 * 16 * 4);

    computed.length = 0;
    for (const [i, forced] of [...forks, deeper].entries()) {
      generator.forget();
      const fresh = await fork(forced);
      expectSame(fresh, kept[i]!);
      for (const [place, { probability }] of fresh[0]!.top.entries())
        expect(probability).toBeCloseTo(kept[i]![0]!.top[place]!.probability, 4);
      expect(computed[i]).toBe(generator.use.promptRows + forced.length);
    }
    // Another prompt finds nothing of it.
    const prompt_ids = golden.get('text_only.prompt_ids')!.data as Int32Array;
    await fork(answer, { prompt_ids });
    expect(computed.at(-1)).toBe(generator.use.promptRows + answer.length);
  });

  it('keeps no more for forks than it may', async () => {
    const { gpu, model, visual, prompt_ids } = use;
    const rowBytes = 2 * 3 * 2 * 16 * 4;
    const request = { prompt_ids, visual, settings: GREEDY, max_new_tokens: 4 };
    const small = await Generator.create(gpu, model, { max_kept_bytes: (124 + 3) * rowBytes });
    const before = gpu.memory.bytes;
    const held: number[] = [];
    for (const num_generations of [2, 1]) {
      for await (const _ of small.generate({ ...request, num_generations }));
      held.push(gpu.memory.bytes - before);
    }
    expect(held[0]).toBeLessThan(10 * rowBytes);
    expect(held[1]).toBeGreaterThan(127 * rowBytes);
    small.destroy();
    expect(gpu.memory.bytes).toBe(before);
  });

  it('ends a group when told to, and keeps what was written for forks', async () => {
    const { generator, visual, prompt_ids, group } = use;
    const stop = new AbortController();
    const ids: number[] = [];
    let steps = 0;
    const request = { prompt_ids, visual, settings: WARM, max_new_tokens: 24, num_generations: 2 };
    for await (const step of generator.generate({ ...request, signal: stop.signal })) {
      ids.push(step[1]!.record.id);
      if (++steps === 5) stop.abort();
    }
    expect(steps).toBe(5);
    let computed = 0;
    const onPrefill = (_: number, total: number) => (computed = total);
    await group({ forced: ids, max_new_tokens: 1, onPrefill });
    expect(computed).toBe(1);
  });

  it('posts the events of a group and of a fork, and of a group that is stopped', async () => {
    const { gpu, model, visual } = use;
    const writer = await AnswerWriter.create(gpu, model);
    const question = { text: 'Which way does it move?', options: ['left', 'right'], reasoning: true };
    const settings = { ...WARM, max_new_tokens: 8 };
    const ask = { type: 'ask', id: 3, question, settings, num_generations: 3 } as const;
    const write = async (request: AskRequest, stopAt?: EngineEvent['type']) => {
      const events: EngineEvent[] = [];
      const stop = new AbortController();
      await writer.write(request, visual, stop.signal, (event) => {
        events.push(event);
        if (event.type === stopAt) stop.abort();
      });
      const of = <T extends EngineEvent['type']>(type: T) =>
        events.filter((event): event is Extract<EngineEvent, { type: T }> => event.type === type);
      const tokens = (sample: number) =>
        of('tokens').flatMap((event) => (event.sample === sample ? event.tokens : []));
      return { events, of, tokens };
    };

    const group = await write({ ...ask, label: 'B' });
    expect(group.events[0]).toMatchObject({ type: 'ask-started', id: 3 });
    const answered = group.of('answered');
    expect(answered.map(({ sample, reason }) => [sample, reason])).toEqual([
      [0, 'length'],
      [1, 'length'],
      [2, 'length'],
    ]);
    for (const { sample, trace, stats, reward } of answered) {
      expect(group.tokens(sample).length).toBe(8);
      expect(trace.text).toBe(model.tokenizer.decode(group.tokens(sample).map(({ id }) => id)));
      expect(reward).toEqual({ reward: -2 });
      expect(stats.newTokens).toBe(8);
      expect(stats.prefillMs).toBeLessThanOrEqual(stats.timeToFirstTokenMs);
    }
    const [done] = group.of('ask-done');
    expect(group.events.at(-1)).toBe(done);
    expect(done!.group).toMatchObject({ newTokens: 24, advantages: [0, 0, 0] });
    expect(done!.group.kvBytes).toBe((done!.group.prefixTokens + 3 * 7) * 2 * 3 * 2 * 16 * 4);

    const ids = group.tokens(1).map(({ id }) => id);
    const fork = { ask: 3, sample: 1, tokens: ids.slice(0, 4) };
    const forked = await write({ ...ask, id: 4, num_generations: 1, fork });
    expect(
      forked
        .tokens(0)
        .slice(0, 4)
        .map(({ id }) => id),
    ).toEqual(ids.slice(4));
    const whole = [...fork.tokens, ...forked.tokens(0).map(({ id }) => id)];
    expect(forked.of('answered')[0]!.trace.text).toBe(model.tokenizer.decode(whole));
    const atEnd = { ...fork, tokens: [...ids, model.tokenizer.eos_token_id] };
    const ended = await write({ ...ask, id: 5, num_generations: 1, fork: atEnd });
    expect(ended.events.map(({ type }) => type)).toEqual(['ask-started', 'answered', 'ask-done']);
    expect(ended.of('answered')[0]).toMatchObject({ reason: 'eos', stats: { newTokens: 0 } });

    const stopped = await write(
      { ...ask, label: 'B', settings: { ...settings, max_new_tokens: 60 } },
      'tokens',
    );
    for (const { reason, reward, stats } of stopped.of('answered')) {
      expect([reason, reward]).toEqual(['stopped', undefined]);
      expect(stats.newTokens).toBe(1);
    }
    expect(stopped.of('ask-done')[0]!.group.advantages).toBeUndefined();
    await expect(write({ ...ask, num_generations: 9 })).rejects.toThrow(/From 1 to 8/);
    writer.destroy();
  });

  it('reported no validation errors', () => expect(use.errors).toEqual([]));
});
