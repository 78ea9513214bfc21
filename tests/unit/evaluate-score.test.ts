import { describe, expect, it } from 'vitest';
import { isCorrect, isWellFormed, type Outcome, summarise } from '../../src/cli/evaluate/score';
import type { Trace } from '../../src/worker/protocol';
import rewards from '../golden/grpo.json';

interface RewardRow {
  text: string;
  solution: string;
  accuracy: number;
  format: number;
}

const rows = (rewards as unknown as { rewards: { rows: RewardRow[] } }).rewards.rows;
const trace = (text: string): Trace => ({ phase: 'done', text, sentences: [], problems: [] });

describe('scoring of an evaluation', () => {
  const letters = rows.filter((row) => /^<answer>[A-E]<\/answer>$/.test(row.solution));

  it.each(letters)('accuracy and format as the original gives them: $text', (row) => {
    expect(isCorrect(row.text, row.solution.charAt(8))).toBe(row.accuracy === 1);
    expect(isWellFormed(trace(row.text))).toBe(row.format > 0);
  });

  it('has enough letter rows to mean something', () => expect(letters.length).toBeGreaterThan(40));

  it('gives shares over all outcomes and by family', () => {
    const outcome = (family: string, greedy: boolean, wellFormed: number): Outcome => ({
      family,
      greedy,
      sampled: false,
      blank: !greedy,
      wellFormed,
    });
    const report = summarise('toy', [
      outcome('speed', true, 2),
      outcome('speed', false, 1),
      outcome('count', true, 2),
    ]);
    expect(report.accuracy_greedy).toBeCloseTo(2 / 3);
    expect(report.accuracy_sampled).toBe(0);
    expect(report.accuracy_blank_frames).toBeCloseTo(1 / 3);
    expect(report.format_rate).toBeCloseTo(5 / 6);
    expect(report.families).toEqual({
      count: { questions: 1, accuracy_greedy: 1 },
      speed: { questions: 2, accuracy_greedy: 0.5 },
    });
  });
});
