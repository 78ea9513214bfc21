import { describe, expect, it } from 'vitest';
import { prefillRows } from '../../src/generate/compute-prompts';

const PUBLISHED = { hidden_size: 2048, intermediate_size: 11_008 };

describe('prefillRows', () => {
  it('takes as many rows as an eighth of the free memory has room for, within limits', () => {
    const rows = (free: number, dtype: 'f32' | 'f16' = 'f32') =>
      prefillRows({ budget: 3e9 + free, bytes: 3e9 }, PUBLISHED, dtype);
    expect(prefillRows({ budget: Number.POSITIVE_INFINITY, bytes: 3e9 }, PUBLISHED, 'f32')).toBe(512);
    expect(rows(4e9)).toBe(512);
    // A row takes 198 KB.
    expect(rows(400e6)).toBe(Math.floor(50e6 / (4 * (3 * 11_008 + 8 * 2048))));
    expect(rows(400e6)).toBe(252);
    // In f16 gate and up and what attention takes and gives are half: 141 KB.
    expect(rows(400e6, 'f16')).toBe(353);
    expect(rows(0)).toBe(32);
    expect(rows(-1)).toBe(32);
  });
});
