import { describe, expect, it } from 'vitest';
import { parseTrace } from '../../src/generate/think-parser';
import { type Completion, completionRows, type QuestionText } from '../../src/grpo/completion-row';
import { group_advantages } from '../../src/grpo/group-advantages';
import { selfCheck, selfCheckShares } from '../../src/grpo/self-check';
import { answerMetrics, finiteOnly } from '../../src/grpo/step-metrics';

const about: QuestionText = {
  problem: 'Which way does the red circle move?\nOptions:\nA. left\nB. right',
  options: ['left', 'right'],
  solution: '<answer>B</answer>',
};
const fixed =
  '<think> I think it is left, A. Wait, let me look again. So the answer is right, B. </think> <answer> B </answer>';
const broken =
  '<think> So the answer is right, B. Wait, let me look again. So the answer is left, A. </think> <answer> A </answer>';
const plain = '<think> So the answer is right, B. </think> <answer> B </answer>';

function completion(text: string, reward: number, tokens: number, terminated = true): Completion {
  return {
    text,
    reward,
    rewards: { signed_reward: reward, accuracy_reward: Number(reward > 0) },
    advantage: reward / 2,
    tokens: Array.from({ length: tokens }, (_, i) => i),
    terminated,
  };
}

describe('self-checks', () => {
  const check = (text: string, letter = 'B') =>
    selfCheck(parseTrace(text, { options: about.options }), about.options, letter);

  it('finds what a check makes of a conclusion', () => {
    expect(check(fixed)).toEqual({ checks: true, rightBefore: false, rightAfter: true });
    expect(check(broken)).toEqual({ checks: true, rightBefore: true, rightAfter: false });
    expect(check(plain)).toEqual({ checks: false });
    expect(check(fixed, '')).toEqual({ checks: true });
    // A conclusion that comes after the check is none before it.
    const late = '<think> Wait, let me look again. So the answer is right, B. </think> <answer> B </answer>';
    expect(check(late)).toEqual({ checks: true });
  });

  it('gives shares, and none of no checks', () => {
    expect(selfCheckShares([{ checks: false }])).toEqual({ self_check_rate: 0 });
    expect(
      selfCheckShares([
        { checks: true, rightBefore: false, rightAfter: true },
        { checks: true, rightBefore: true, rightAfter: true },
        { checks: true },
        { checks: false },
      ]),
    ).toEqual({ self_check_rate: 0.75, checked_right_before: 0.5, checked_right_after: 1 });
  });
});

describe('the log of a step', () => {
  const groups = [
    { completions: [completion(fixed, 2, 10), completion(broken, -1, 20, false)], prompt_rows: 5, about },
    { completions: [completion(plain, 1, 6), completion(plain, 1, 4)], prompt_rows: 7, about },
  ];

  it('has TRL’s keys and their meaning', () => {
    const metrics = answerMetrics(groups, 'group');
    expect(metrics['rewards/signed_reward/std']).toBeCloseTo(
      Math.sqrt((2 ** 2 + 1 + 1 + 1 - 4 * 0.75 ** 2) / 3),
      12,
    );
    expect(metrics.reward_std).toBeCloseTo(Math.sqrt((2 ** 2 + 1 + 1 + 1 - 4 * 0.75 ** 2) / 3), 12);
    expect(metrics).toMatchObject({
      reward: 0.75,
      frac_reward_zero_std: 0.5,
      'rewards/signed_reward/mean': 0.75,
      'rewards/accuracy_reward/mean': 0.75,
      'rewards/accuracy_reward/std': 0.5,
      'completions/mean_length': 10,
      'completions/min_length': 4,
      'completions/max_length': 20,
      'completions/mean_terminated_length': 20 / 3,
      'completions/min_terminated_length': 4,
      'completions/max_terminated_length': 10,
      'completions/clipped_ratio': 0.25,
      self_check_rate: 0.5,
      checked_right_before: 0.5,
      checked_right_after: 0.5,
    });
    expect(answerMetrics(groups, 'batch').frac_reward_zero_std).toBe(0);
  });

  it('says 0 where no answer has ended, as TRL does', () => {
    const metrics = answerMetrics(
      [{ completions: [completion('a', 1, 3, false), completion('b', 2, 3, false)], prompt_rows: 1 }],
      'none',
    );
    expect(metrics).toMatchObject({
      'completions/mean_terminated_length': 0,
      'completions/min_terminated_length': 0,
      'completions/clipped_ratio': 1,
    });
    expect(metrics).not.toHaveProperty('self_check_rate');
  });

  it('leaves out what is no number', () =>
    expect(finiteOnly({ a: 1, b: Number.NaN, c: Number.NEGATIVE_INFINITY })).toEqual({ a: 1 }));

  it('makes rows of a group', () => {
    const rows = completionRows(about, groups[0]!.completions, { step: 3, question: 1 });
    expect(rows[1]).toEqual({
      step: 3,
      question: 1,
      sample: 1,
      prompt: about.problem,
      completion: broken,
      solution: 'B',
      answer: 'A',
      rewards: { signed_reward: -1, accuracy_reward: 0 },
      reward: -1,
      advantage: -0.5,
      tokens: 20,
      terminated: false,
      aha: true,
    });
    expect(
      completionRows(about, [completion('nothing', 0, 1)], { step: 1, question: 0 })[0],
    ).not.toHaveProperty('answer');
  });
});

describe('advantages of a batch', () => {
  it('divides by the deviation of all groups, around the mean of its own', () => {
    const batch = [1, 3, 10, 14];
    const std = Math.sqrt((6 ** 2 + 4 ** 2 + 3 ** 2 + 7 ** 2) / 3);
    const advantages = group_advantages([1, 3], { scale_rewards: 'batch', batch });
    for (const [i, want] of [-1 / (std + 1e-4), 1 / (std + 1e-4)].entries())
      expect(advantages[i]).toBeCloseTo(want, 6);
    expect(group_advantages([1, 3], { scale_rewards: 'none' })).toEqual([-1, 1]);
  });
});
