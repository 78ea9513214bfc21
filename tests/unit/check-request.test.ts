import { describe, expect, it } from 'vitest';
import { outOfMemory } from '../../src/generate/check-request';

const KB = 1000;

describe('outOfMemory', () => {
  it('names fewer answers or shorter ones', () => {
    const error = outOfMemory({ num_generations: 8, max_new_tokens: 1024 }, 700, 5820, 520 * KB);
    expect(error.title).toBe('Not enough GPU memory for 8 answers.');
    expect(error.message).toBe(
      '8 answers of 1,024 tokens need 4.62 GB and this adapter allows 3.03 GB. ' +
        '5 answers fit, or 8 answers of 640 tokens.',
    );
    expect(error.suggestions).toEqual({ num_generations: 5, max_new_tokens: 640 });
  });

  it('gives suggestions that need no more than fits, and no others', () => {
    for (const [G, max_new_tokens, before, fitting] of [
      [8, 100, 50, 850],
      [8, 100, 50, 849],
      [3, 1000, 10, 12],
      [2, 10, 5, 15],
      [1, 10, 5, 14],
      [4, 10, 5, 5],
    ] as const) {
      const { suggestions, message } = outOfMemory(
        { num_generations: G, max_new_tokens },
        before,
        fitting,
        100,
      );
      const rows = (answers: number, tokens: number) => before + answers * tokens;
      const { num_generations, max_new_tokens: shorter } = suggestions;
      if (num_generations) {
        expect(rows(num_generations, max_new_tokens)).toBeLessThanOrEqual(fitting);
        expect(num_generations).toBeLessThan(G);
      }
      if (shorter) expect(rows(G, shorter)).toBeLessThanOrEqual(fitting);
      else expect(message).toMatch(/Ask a shorter question|fits?\.$/);
    }
    expect(outOfMemory({ num_generations: 2, max_new_tokens: 10 }, 5, 15, 1).message).toMatch(
      /1 answer fits, or 2/,
    );
    expect(outOfMemory({ max_new_tokens: 10 }, 5, 5, 1).suggestions).toEqual({});
  });
});
