import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sampleUniform } from '../../src/generate/random';
import {
  decodeRecord,
  RECORD_WORDS,
  type SampleRecord,
  type SampleRow,
  Sampler,
} from '../../src/generate/sampler';
import { sampleReference } from '../../src/generate/sampler-reference';
import type { DrawSettings } from '../../src/generate/settings';
import type { Gpu } from '../../src/gpu/device';
import { Recorder } from '../../src/gpu/recorder';
import { readTensor, uploadTensor } from '../../src/gpu/tensor';
import { normals, seeded } from '../support/attention-cases';
import { sharedGpu } from '../support/shared-gpu';

const PLAIN: DrawSettings = { temperature: 1, top_k: 0, top_p: 1, seed: 11 };
const INFINITY = Number.POSITIVE_INFINITY;

describe('the sampler on the GPU', () => {
  let gpu: Gpu;
  beforeAll(async () => {
    gpu = await sharedGpu();
  });
  afterAll(() => gpu.close());

  /** Samples rows of V logits, into poisoned outputs. */
  async function sample(
    logits: Float32Array<ArrayBuffer>,
    rows: SampleRow[],
    settings: DrawSettings,
    on: Gpu = gpu,
  ) {
    const B = rows.length;
    const V = logits.length / B;
    const sampler = await Sampler.create(on, { vocab_size: V });
    const x = uploadTensor(gpu, logits, [B, V], 'f32', 'logits');
    const tokens = uploadTensor(gpu, new Int32Array(B).fill(-77), [B], 'i32', 'tokens');
    const poison = new Uint32Array(B * RECORD_WORDS).fill(0xabcdef01);
    const records = uploadTensor(gpu, poison, [B, RECORD_WORDS], 'u32', 'records');
    const recorder = new Recorder(gpu, 'sample');
    sampler.record(recorder, { logits: x, tokens, records, settings, rows });
    recorder.submit();
    const words = (await readTensor(gpu, records)) as Uint32Array<ArrayBuffer>;
    const ids = (await readTensor(gpu, tokens)) as Int32Array<ArrayBuffer>;
    for (const tensor of [x, tokens, records]) tensor.buffer.destroy();
    return { ids: [...ids], words, records: rows.map((_, i) => decodeRecord(words, i)) };
  }

  const rowsOf = (n: number): SampleRow[] =>
    Array.from({ length: n }, (_, i) => ({ question: 3, sample: i % 8, position: i >> 3, active: true }));

  /** Holds a record to the reference's; the token may differ only where the uniform number lies on an edge. */
  function expectSame(
    got: SampleRecord,
    logits: ArrayLike<number>,
    settings: DrawSettings,
    row: SampleRow,
    label: string,
  ) {
    const counter = { ...row, seed: settings.seed };
    const want = sampleReference(logits, settings, counter);
    expect(got.status, label).toBe(want.status);
    expect(got.survivors, `${label} survivors`).toBe(want.survivors);
    expect(got.entropy, `${label} entropy`).toBeCloseTo(want.entropy, 4);
    expect(got.top.map((t) => t.id)).toEqual(want.top.map((t) => t.id));
    for (const [i, { probability }] of want.top.entries())
      expect(got.top[i]!.probability, `${label} top ${i}`).toBeCloseTo(probability, 4);
    if (got.id !== want.id) {
      const u = sampleUniform(counter);
      let passed = 0;
      const edges = [...want.kept].sort((a, b) => a.id - b.id).map((t) => (passed += t.probability));
      expect(Math.min(...edges.map((e) => Math.abs(e - u))), `${label} token`).toBeLessThan(
        logits.length > 10_000 ? 3e-5 : 3e-6,
      );
      return;
    }
    expect(got.rank, `${label} rank`).toBe(want.rank);
    expect(got.logp, `${label} logp`).toBeCloseTo(want.logp, 4);
    expect(got.prob, `${label} prob`).toBeCloseTo(want.prob, 4);
    expect(got.sampling_logp, `${label} sampling logp`).toBeCloseTo(want.sampling_logp, 4);
  }

  it('agrees with the reference over settings, rows and vocabularies', async () => {
    const settings: Partial<DrawSettings>[] = [
      {},
      { temperature: 0 },
      { temperature: 0.3 },
      { top_k: 1 },
      { top_k: 50 },
      { top_k: 5000 },
      { top_p: 0.9 },
      { top_p: 0.05 },
      { top_p: 0 },
      { min_p: 0.04 },
      { min_p: 1 },
      { temperature: 0.7, top_k: 20, top_p: 0.9, min_p: 0.1 },
      { temperature: 0.7, top_k: 20, top_p: 0.8 },
      { temperature: 1.8, top_k: 300, top_p: 0.97, seed: 2 ** 40 + 5 },
    ];
    for (const V of [1, 7, 547]) {
      const random = seeded(V);
      for (const [n, some] of settings.entries()) {
        const s = { ...PLAIN, ...some };
        // Rounded so that equal logits occur.
        const logits = normals(random, 17 * V, 3).map((x) => (n % 2 ? Math.round(x) : x));
        const rows = rowsOf(17);
        const got = await sample(logits, rows, s);
        for (const [i, row] of rows.entries()) {
          const label = `V ${V} ${JSON.stringify(some)} row ${i}`;
          expectSame(got.records[i]!, logits.subarray(i * V, (i + 1) * V), s, row, label);
          expect(got.ids[i]).toBe(got.records[i]!.id);
        }
      }
    }
  });

  it('handles the published vocabulary', async () => {
    const V = 151936;
    const logits = normals(seeded(4), 2 * V, 3);
    for (const s of [PLAIN, { ...PLAIN, temperature: 0.8, top_k: 50, top_p: 0.95 }]) {
      const rows = rowsOf(2);
      const got = await sample(logits, rows, s);
      for (const [i, row] of rows.entries())
        expectSame(got.records[i]!, logits.subarray(i * V, (i + 1) * V), s, row, `row ${i}`);
    }
  });

  it('draws tokens as often as their probabilities say', async () => {
    const V = 24;
    const one = normals(seeded(6), V, 1.5);
    const settings = { ...PLAIN, temperature: 1.2, top_k: 16, top_p: 0.97, seed: 5 };
    const N = 2048;
    const logits = new Float32Array(N * V);
    for (let i = 0; i < N; i++) logits.set(one, i * V);
    const { ids } = await sample(logits, rowsOf(N), settings);
    const { kept } = sampleReference(one, settings, { seed: 5, question: 0, sample: 0, position: 0 });
    expect(ids.every((id) => kept.some((t) => t.id === id))).toBe(true);
    let chi = 0;
    for (const { id, probability } of kept) {
      const seen = ids.filter((x) => x === id).length;
      chi += (seen - N * probability) ** 2 / (N * probability);
    }
    const freedom = kept.length - 1;
    expect(freedom).toBeGreaterThan(8);
    // Mean `freedom`, variance 2 `freedom`: four deviations.
    expect(chi).toBeLessThan(freedom + 4 * Math.sqrt(2 * freedom));
  });

  it('survives extreme logits, never takes a masked one, and flags what it cannot sample from', async () => {
    const V = 40;
    const make = (f: (i: number) => number) => Float32Array.from({ length: V }, (_, i) => f(i));
    const cases = [
      make((i) => (i === 9 ? 1e4 : -1e4)),
      make((i) => (i % 2 ? -INFINITY : 2)),
      make((i) => (i === 31 ? 0 : -INFINITY)),
      make((i) => (i < 3 ? 3e38 : -3e38)),
      make(() => -0),
      make((i) => (i % 2 ? 0 : -0)),
      make((i) => (i === 5 ? Number.NaN : i)),
      make((i) => (i === 5 ? INFINITY : i)),
      make(() => -INFINITY),
    ];
    const logits = new Float32Array(cases.length * V);
    for (const [i, c] of cases.entries()) logits.set(c, i * V);
    for (const some of [
      {},
      { temperature: 0 },
      { top_k: 3 },
      { top_p: 0.6 },
      { min_p: 0.3 },
      { temperature: 0.01, top_k: 7 },
    ]) {
      const s = { ...PLAIN, ...some };
      const rows = rowsOf(cases.length);
      const got = await sample(logits, rows, s);
      for (const [i, row] of rows.entries())
        expectSame(got.records[i]!, cases[i]!, s, row, `case ${i} ${JSON.stringify(some)}`);
      expect(got.ids.slice(6)).toEqual([-1, -1, -1]);
      expect(got.records.slice(6).map((r) => r.status)).toEqual([1, 2, 4]);
      expect(got.records[6]!.top).toEqual([]);
    }
  });

  it('leaves finished rows alone and gives the same bits twice', async () => {
    const V = 100;
    const logits = normals(seeded(3), 20 * V);
    const rows = rowsOf(20).map((row, i) => ({ ...row, active: i % 3 !== 1 }));
    const a = await sample(logits, rows, PLAIN);
    const b = await sample(logits, rows, PLAIN);
    expect(a.words).toEqual(b.words);
    expect(a.ids).toEqual(b.ids);
    for (const [i, { active }] of rows.entries()) {
      expect(a.ids[i] === -77).toBe(!active);
      expect(a.words[i * RECORD_WORDS] === 0xabcdef01).toBe(!active);
    }
  });

  it('gives the same with the workgroups meant for a GPU, with subgroups and without', async () => {
    const V = 3000;
    const logits = normals(seeded(31), 3 * V, 3);
    const s = { ...PLAIN, temperature: 0.9, top_k: 40, top_p: 0.9 };
    const rows = rowsOf(3);
    const adapter = { ...gpu.adapter, isFallback: false };
    for (const off of [[], ['subgroups']] as const) {
      const got = await sample(logits, rows, s, { ...gpu, adapter, off: new Set(off) });
      for (const [i, row] of rows.entries())
        expectSame(got.records[i]!, logits.subarray(i * V, (i + 1) * V), s, row, `row ${i}, off: ${off}`);
    }
  });

  it('refuses settings that make no sense', async () => {
    const logits = new Float32Array(4);
    await expect(sample(logits, rowsOf(1), { ...PLAIN, temperature: -1 })).rejects.toThrow(/temperature/);
    await expect(sample(logits, rowsOf(1), { ...PLAIN, top_p: 2 })).rejects.toThrow(/top_p/);
    await expect(sample(logits, rowsOf(1), { ...PLAIN, top_k: 1.5 })).rejects.toThrow(/top_k/);
    await expect(sample(logits, rowsOf(1), { ...PLAIN, min_p: -0.1 })).rejects.toThrow(/min_p/);
  });
});
