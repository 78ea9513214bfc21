import { describe, expect, it } from 'vitest';
import { philox, sampleUniform } from '../../src/generate/random';

const hex = (words: number[]) => words.map((x) => x.toString(16).padStart(8, '0')).join(' ');

describe('philox4x32-10', () => {
  it('gives the known answers of the Random123 library', () => {
    expect(hex(philox([0, 0, 0, 0], [0, 0]))).toBe('6627e8d5 e169c58d bc57ac4c 9b00dbd8');
    const ones = 0xffffffff;
    expect(hex(philox([ones, ones, ones, ones], [ones, ones]))).toBe('408f276d 41c83b0e a20bc7c6 6d5451fd');
    expect(hex(philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]))).toBe(
      'd16cfe09 94fdcceb 5001e420 24126ea1',
    );
  });

  it('gives uniform numbers that depend on each part of the counter', () => {
    const base = { seed: 1, question: 2, sample: 3, position: 4 };
    const values = [
      base,
      { ...base, seed: 2 },
      { ...base, seed: 1 + 2 ** 32 },
      { ...base, question: 3 },
      { ...base, sample: 4 },
      { ...base, position: 5 },
    ].map(sampleUniform);
    expect(new Set(values).size).toBe(values.length);
    let sum = 0;
    for (let position = 0; position < 20000; position++) sum += sampleUniform({ ...base, position });
    expect(Math.abs(sum / 20000 - 0.5)).toBeLessThan(4 / Math.sqrt(12 * 20000));
    expect(() => sampleUniform({ ...base, seed: -1 })).toThrow(/seed/);
  });
});
