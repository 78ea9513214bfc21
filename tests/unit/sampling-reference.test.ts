import { describe, expect, it } from 'vitest';
import { sampleReference } from '../../src/generate/sampler-reference';

const counter = { seed: 7, question: 0, sample: 0, position: 0 };
const plain = { temperature: 1, top_k: 0, top_p: 1, seed: 7 };
const logits = [0.3, 0.1, 0.4, 0.2].map(Math.log);
const ids = (settings: object) =>
  sampleReference(logits, { ...plain, ...settings }, counter).kept.map((t) => t.id);

describe('the reference sampler', () => {
  it('truncates in the order temperature, top-k, top-p', () => {
    expect(ids({})).toEqual([2, 0, 3, 1]);
    expect(ids({ top_k: 2 })).toEqual([2, 0]);
    expect(ids({ top_p: 0.39 })).toEqual([2]);
    expect(ids({ top_p: 0.41 })).toEqual([2, 0]);
    expect(ids({ top_p: 0.71 })).toEqual([2, 0, 3]);
    expect(ids({ top_p: 0 })).toEqual([2]);
    // 0.4 of the 0.7 that top-k leaves is 0.571.
    expect(ids({ top_k: 2, top_p: 0.57 })).toEqual([2]);
    expect(ids({ top_k: 2, top_p: 0.58 })).toEqual([2, 0]);
    expect(ids({ temperature: 0 })).toEqual([2]);
    // 0.1 / 0.4 is a quarter, 0.3 / 0.4 three quarters; at temperature 0.5 a sixteenth and nine of them.
    expect(ids({ min_p: 0.26 })).toEqual([2, 0, 3]);
    expect(ids({ min_p: 0.76 })).toEqual([2]);
    expect(ids({ min_p: 1 })).toEqual([2]);
    expect(ids({ min_p: 0.57, temperature: 0.5 })).toEqual([2]);
    expect(ids({ min_p: 0.55, temperature: 0.5 })).toEqual([2, 0]);
    expect(ids({ min_p: 0.26, top_k: 2 })).toEqual([2, 0]);
    expect(ids({ min_p: 0.9, top_p: 0.71 })).toEqual([2]);
  });

  it('ranks equal logits by id', () => {
    const record = sampleReference([1, 5, 5, 5], { ...plain, top_k: 2 }, counter);
    expect(record.kept.map((t) => t.id)).toEqual([1, 2]);
    expect(sampleReference([1, 5, 5, 5], { ...plain, temperature: 0 }, counter).id).toBe(1);
  });

  it('records the full log-probability, whatever the truncation', () => {
    const record = sampleReference(logits, { ...plain, temperature: 0 }, counter);
    expect(record.logp).toBeCloseTo(Math.log(0.4), 12);
    expect(record.sampling_logp).toBe(0);
    expect(record.entropy).toBeCloseTo(-[0.3, 0.1, 0.4, 0.2].reduce((h, p) => h + p * Math.log(p), 0), 12);
  });

  it('flags logits that cannot be sampled from', () => {
    expect(sampleReference([0, Number.NaN], plain, counter)).toMatchObject({ status: 1, id: -1 });
    expect(sampleReference([0, Number.POSITIVE_INFINITY], plain, counter).status).toBe(2);
    expect(sampleReference([Number.NEGATIVE_INFINITY], plain, counter).status).toBe(4);
  });
});
