import { describe, expect, it } from 'vitest';
import { repetition_penalty_reward } from '../../src/grpo/rewards/repetition-penalty-reward';
import type { RewardSetting } from '../../src/grpo/rewards/reward-setting';
import { RewardError, scoreGroup, type UserReward } from '../../src/grpo/rewards/score-group';
import { soft_overlong_punishment_reward } from '../../src/grpo/rewards/soft-overlong-punishment';
import { think_format_reward } from '../../src/grpo/rewards/think-format-reward';

describe('TRL’s rewards', () => {
  it.each([
    ['<think>\nThis is my reasoning.\n</think>\nThis is my answer.', 1],
    ['<think>\nThis is my reasoning.\nThis is my answer.', 0],
    ['<think></think>', 1],
    ['<think>a</think> b </think>', 1],
    ['<think>a<think>b</think>', 0],
    ['<think>a</think> later <think>b</think>', 0],
    [' <think>a</think>', 0],
    ['x\n<think>a</think>', 0],
    ['<Think>a</Think>', 0],
    ['', 0],
  ])('think_format_reward of %j is %d', (text, reward) => expect(think_format_reward(text)).toBe(reward));

  it('punishes answers near the limit', () => {
    for (const [tokens, reward] of [
      [0, 0],
      [80, 0],
      [81, -0.05],
      [90, -0.5],
      [100, -1],
      [101, -1],
    ] as const)
      expect(soft_overlong_punishment_reward(tokens, 100, 20)).toBe(reward);
    // No room to punish in: only what lies beyond the limit, without a division by zero.
    expect(soft_overlong_punishment_reward(100, 100, 0)).toBe(0);
    expect(soft_overlong_punishment_reward(101, 100, 0)).toBe(-1);
  });

  it('punishes repeated n-grams of tokens', () => {
    expect(repetition_penalty_reward([1, 2, 3, 4], 2)).toBe(0);
    expect(repetition_penalty_reward([5, 5, 5, 5, 5], 2)).toBe(-0.75);
    // (1 2 3), (2 3 1), (3 1 2), (1 2 3): one of four.
    expect(repetition_penalty_reward([1, 2, 3, 1, 2, 3])).toBe(-0.25);
    expect(repetition_penalty_reward([1, 2, 3, 1, 2, 3], 3, -2)).toBe(-0.5);
    expect(repetition_penalty_reward([7, 7], 3)).toBe(0);
    expect(repetition_penalty_reward([], 1)).toBe(0);
    expect(repetition_penalty_reward([12, 1, 1, 21], 2)).toBe(0);
  });
});

describe('scoreGroup', () => {
  const question = { problem: 'Which?\nOptions:\nA. x\nB. y', solution: '<answer>B</answer>' };
  const answer = (text: string, length = 4) => ({ text, tokens: Array.from({ length }, (_, i) => i) });
  const right = answer(` <think>${'a'.repeat(30)}</think><answer>B</answer>\n`);
  const wrong = answer('<think>a</think><answer>A</answer>');
  const score = (settings: RewardSetting[], user?: UserReward) =>
    scoreGroup(settings, [right, wrong, answer('B', 10)], question, {
      max_completion_length: 10,
      max_length_reward: 60,
      ...(user ? { user } : {}),
    });

  it('gives the user’s function what can be sent to another thread, whatever else a question holds', async () => {
    // As a run's question holds the video's GPU buffer.
    const held = { ...question, visual: () => 'cannot be cloned' };
    const { rewards } = await scoreGroup([{ name: 'user_reward', weight: 1 }], [right, wrong], held, {
      max_completion_length: 10,
      user: (answers) => {
        expect(Object.keys(structuredClone(answers)[0]!).sort()).toEqual([
          'problem',
          'solution',
          'text',
          'tokens',
        ]);
        return [3, 4];
      },
    });
    expect(rewards).toEqual([3, 4]);
  });

  it('gives the original’s reward with its parts, of stripped texts', async () => {
    const { rewards, functions } = await score([{ name: 'signed_reward', weight: 1 }]);
    expect(rewards).toEqual([1.75, -Math.fround(0.5 + 0.5 / 60), 1]);
    expect(functions).toEqual({
      accuracy_reward: [1, 0, 1],
      format_reward: [0.75, 0.5 + 0.5 / 60, 0],
      signed_reward: [1.75, -Math.fround(0.5 + 0.5 / 60), 1],
    });
  });

  it('adds rewards up by their weights, under TRL’s names', async () => {
    const { rewards, functions } = await score(
      [
        { name: 'accuracy_reward', weight: 2 },
        { name: 'think_format_reward', weight: 0.5 },
        { name: 'soft_overlong_punishment', weight: 1 },
        { name: 'repetition_penalty', weight: 1, ngram_size: 1 },
        { name: 'user_reward', weight: -1, code: '' },
      ],
      async (answers) => answers.map(({ text, tokens }) => tokens + Number(text.startsWith('<'))),
    );
    expect(Object.keys(functions)).toEqual([
      'accuracy_reward',
      'think_format_reward',
      'soft_overlong_punishment_reward',
      'repetition_penalty_reward',
      'user_reward',
    ]);
    expect(rewards).toEqual([2 + 0.5 - 5, 0.5 - 5, 2 - 1 - 10]);
  });

  it.each<[string, UserReward, number[], RegExp]>([
    [
      'throws',
      () => {
        throw new Error('label is undefined');
      },
      [0, 1, 2],
      /^user_reward threw "label is undefined" on 3 of 3 answers\.$/,
    ],
    [
      'gives NaN',
      () => [1, Number.NaN, Number.POSITIVE_INFINITY],
      [1, 2],
      /gave NaN, not a number from −1e6 to 1e6, on 2 of 3/,
    ],
    ['gives what a float32 cannot square', () => [1e300, 1, 2], [0], /gave 1e\+300, not a number from −1e6/],
    ['gives too few', () => [1], [0, 1, 2], /no list of one number an answer/],
  ])('tells which answers a reward failed on that %s', async (_, user, failed, message) => {
    const error = await score([{ name: 'user_reward', weight: 1 }], user).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(RewardError);
    expect((error as RewardError).failed).toEqual(failed);
    expect((error as RewardError).message).toMatch(message);
  });
});
