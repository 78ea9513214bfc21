import { describe, expect, it } from 'vitest';
import { policyForest } from '../../src/grpo/policy-batch';
import { groupRange, splitGroups } from '../../src/grpo/policy-passes';

const group = (prompt_rows: number, lengths: readonly number[]) => ({
  prompt: { prompt_ids: new Int32Array(prompt_rows) },
  prompt_rows,
  completions: lengths.map((length) => ({ tokens: Array.from({ length }, (_, i) => i) })),
});

describe('passes of a policy', () => {
  const groups = [group(10, [3, 4]), group(20, [1, 1]), group(5, [6, 6]), group(40, [2, 2])];
  const places = (parts: readonly (readonly unknown[])[]) =>
    parts.map((part) => part.map((one) => groups.indexOf(one as (typeof groups)[number])));

  it('puts questions together up to what a pass may hold, in their order', () => {
    // Rows: 15, 20, 15, 42.
    const holds = (limit: number, keepLimit: number) => ({
      holds: (rows: number, keep: boolean) => rows <= (keep ? keepLimit : limit),
    });
    expect(places(splitGroups(holds(1000, 1000), groups))).toEqual([[0, 1, 2, 3]]);
    expect(places(splitGroups(holds(1000, 50), groups))).toEqual([[0, 1, 2], [3]]);
    // The last question alone cannot keep all: then none does, and more of them go together.
    expect(places(splitGroups(holds(60, 41), groups))).toEqual([[0, 1, 2], [3]]);
    expect(places(splitGroups(holds(1000, 41), groups))).toEqual([[0, 1, 2, 3]]);
    // What does not fit at all is tried by itself.
    expect(places(splitGroups(holds(1, 1), groups))).toEqual([[0], [1], [2], [3]]);
  });

  it('lays out rows that predict first, and finds the tokens of each question', () => {
    const batch = policyForest(
      groups.map(({ prompt_rows, completions }) => ({
        prompt_rows,
        completions: completions.map(({ tokens }) => tokens),
      })),
    );
    expect([batch.rows, batch.scored_rows, batch.prompt_rows]).toEqual([92, 4 + 2 + 3 + 5 + 5 + 1 + 1, 75]);
    const rows = batch.runs.flatMap(({ row, count }) => Array.from({ length: count }, (_, i) => row + i));
    expect(rows.sort((a, b) => a - b)).toEqual(Array.from({ length: 92 }, (_, i) => i));
    expect(Math.max(...batch.predictors)).toBe(batch.scored_rows - 1);
    expect(groupRange(batch, 2)).toEqual({ from: 9, to: 21, offsets: [0, 6, 12] });
    // A row sees its whole prompt and what comes before it in its own answer.
    for (const { segment, offset, count } of batch.scored_runs.slice(4)) {
      const { parent } = batch.tree.segments[segment]!;
      expect(offset).toBe(0);
      expect(batch.tree.visible(segment, count - 1)).toBe(batch.tree.segments[parent]!.length + count);
    }
    expect(() => policyForest([{ prompt_rows: 3, completions: [[1], []] }])).toThrow(/without tokens/);
  });
});
