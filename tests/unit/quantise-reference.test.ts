import { describe, expect, it } from 'vitest';
import { blockBytes, blocksOf } from '../../src/gpu/tensor';
import {
  dequantise,
  fromHalves,
  quantise,
  relativeRms,
  toHalves,
} from '../../src/weights/quantise-reference';
import { randomValues } from '../support/random-values';

const [N, K] = [24, 76];
const values = randomValues(N * K, 5);

/** Blocks of the values, row by row. */
function blocksIn(data: ArrayLike<number>): number[][] {
  const out: number[][] = [];
  for (let row = 0; row < N; row++)
    for (let at = 0; at < K; at += 32)
      out.push(Array.from(data).slice(row * K + at, row * K + Math.min(at + 32, K)));
  return out;
}

const squares = (a: number[], b: number[]) => a.reduce((sum, v, i) => sum + (v - b[i]!) ** 2, 0);

/** The simple ways: the largest value is 7 steps, or -8 of a scale with its sign turned. */
function plain(block: number[]): number[] {
  const largest = block.reduce((most, v) => (Math.abs(v) > Math.abs(most) ? v : most), 0);
  return [largest / 7, -largest / 8].map((scale) =>
    squares(
      block,
      block.map((v) => scale * Math.min(7, Math.max(-8, Math.round(v / scale)))),
    ),
  );
}

describe('4 bits', () => {
  const stored = quantise(values, 'q4', [N, K]);
  const back = dequantise(stored, 'q4', [N, K]);

  it('fits every block better than the largest value alone would', () => {
    const fitted = blocksIn(back);
    let [own, best] = [0, 0];
    for (const [i, block] of blocksIn(values).entries()) {
      const error = squares(block, fitted[i]!);
      const simple = Math.min(...plain(block));
      expect(error, `block ${i}`).toBeLessThanOrEqual(simple * (1 + 1e-6));
      own += error;
      best += simple;
    }
    expect(own).toBeLessThan(0.9 * best);
  });

  it('takes the nearest code of every value', () => {
    for (const [i, value] of values.entries()) {
      const block = Math.floor(i / K) * blocksOf(K) + Math.floor((i % K) / 32);
      const scale = stored.scales[block]!;
      const others = Array.from({ length: 16 }, (_, code) => Math.abs(value - (code - 8) * scale));
      expect(Math.abs(value - back[i]!)).toBeLessThanOrEqual(Math.min(...others) + 1e-6);
    }
  });

  it('pads with the code of zero, and stores zeros exactly', () => {
    // The last block of a row has 12 values.
    const bytes = blockBytes('q4');
    const last = stored.codes.subarray(2 * bytes, 3 * bytes);
    expect([...last.subarray(6)]).toEqual(new Array(10).fill(0x88));
    const zero = quantise(new Float32Array(64), 'q4', [1, 64]);
    expect([...zero.codes]).toEqual(new Array(32).fill(0x88));
    expect([...zero.scales]).toEqual([0, 0]);
  });

  it('is exact where 4 bits are enough, at any size', () => {
    for (const size of [1e-30, 1, 3e30]) {
      const exact = Float32Array.from({ length: 32 }, (_, i) => ((i % 16) - 8) * size);
      const again = dequantise(quantise(exact, 'q4', [1, 32]), 'q4', [1, 32]);
      expect(relativeRms(exact, again)).toBeLessThan(1e-6);
    }
  });
});

it('8 bits: half a step at most', () => {
  const stored = quantise(values, 'q8', [N, K]);
  const back = blocksIn(dequantise(stored, 'q8', [N, K]));
  for (const [i, block] of blocksIn(values).entries()) {
    const step = Math.max(...block.map(Math.abs)) / 127;
    for (const [j, value] of block.entries())
      expect(Math.abs(value - back[i]![j]!)).toBeLessThanOrEqual(step * 0.5001);
  }
});

it('halves: the nearest one, ties to even, at most 65504', () => {
  const all = fromHalves(Uint16Array.from({ length: 0x7c00 }, (_, i) => i));
  const some = Float32Array.from([
    ...values,
    1e-8,
    2 ** -24,
    2 ** -25,
    3 * 2 ** -25,
    6.1e-5,
    65504,
    1e9,
    -1e9,
  ]);
  const halves = fromHalves(toHalves(some));
  for (const [i, value] of some.entries()) {
    const size = Math.abs(value);
    const at = all.findIndex((half) => half >= size);
    const nearest = at < 0 ? 65504 : Math.min(...[at - 1, at].map((j) => Math.abs((all[j] ?? -1) - size)));
    if (at < 0) expect(Math.abs(halves[i]!)).toBe(65504);
    else expect(Math.abs(Math.abs(halves[i]!) - size)).toBe(nearest);
    if (halves[i] !== 0) expect(Math.sign(halves[i]!)).toBe(Math.sign(value));
  }
  // Half way between two neighbours: to the even one.
  expect([...toHalves(Float32Array.of(1 + 2 ** -11, 1 + 3 * 2 ** -11, 2 ** -25))]).toEqual([
    0x3c00, 0x3c02, 0,
  ]);
});
