import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { learnProblems } from '../../scripts/learn-problems.mjs';
import type { TrainingReport } from '../../src/cli/train/page';

const { runs } = JSON.parse(readFileSync('bench/learn.json', 'utf8')) as { runs: TrainingReport[] };

it('the recorded runs show that the toy preset learns', () => {
  expect(runs).toHaveLength(3);
  for (const run of runs) expect(learnProblems(run)).toEqual([]);
});

it('a base that checks itself too little, or to no use, is none', () => {
  const [run] = runs;
  const before = (change: Partial<TrainingReport['eval_before']>) =>
    learnProblems({ ...run!, eval_before: { ...run!.eval_before!, ...change } });
  expect(before({ self_check_rate: 0.149 })).toEqual([
    '0.149 of the base’s traces check themselves, not 0.15',
  ]);
  expect(before({ checked_right_before: 0.6, checked_right_after: 0.6 })).toEqual([
    'checks of the base break as much as they fix: 0.6 are right before, 0.6 after',
  ]);
  expect(before({ self_check_rate: 0.9 })).toEqual([
    expect.stringMatching(/^the share of traces that check themselves changed by -0\.0/),
  ]);
  expect(before({ accuracy_sampled: 0.75 })).toEqual([
    expect.stringMatching(/^sampled accuracy rose by 0\.115/),
  ]);
  expect(learnProblems({ ...run!, accuracy_blank_frames_after: 0.4 })).toHaveLength(1);
});
