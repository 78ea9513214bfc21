import { beforeAll, describe, expect, it } from 'vitest';
import { group_advantages } from '../../src/grpo/group-advantages';
import { accuracy_reward } from '../../src/grpo/rewards/accuracy-reward';
import { format_reward, lengthPart } from '../../src/grpo/rewards/format-reward';
import { scoreAnswer } from '../../src/grpo/rewards/signed-reward';
import { f32, goldenJson, loadGolden } from '../support/golden';

interface GoldenGrpo {
  rewards: {
    rows: {
      note: string;
      text: string;
      solution: string;
      accuracy: number;
      format: number;
      length: number;
      total: number;
    }[];
  };
  advantages: { rewards: number[]; advantages: number[] }[];
  loss: { rewards: number[]; noise_scale: number };
}

let golden: GoldenGrpo;
beforeAll(async () => {
  golden = await goldenJson<GoldenGrpo>('grpo.json');
});

describe('rewards', () => {
  it('gives every recorded reward, bit by bit', () => {
    const { rows } = golden.rewards;
    expect(rows.length).toBe(85);
    for (const { note, text, solution, accuracy, format, length, total } of rows) {
      const { reward, ...parts } = scoreAnswer(text, solution);
      expect([note, reward]).toEqual([note, total]);
      const content = text.replace(/^[ \n\t]+|[ \n\t]+$/g, '');
      const f = format_reward(content);
      expect([note, accuracy_reward(content, solution), f, lengthPart(f)]).toEqual([
        note,
        accuracy,
        format,
        length,
      ]);
      if (total === -2) expect([note, parts]).toEqual([note, {}]);
      else expect(parts.accuracy! + parts.format! + parts.length!).toBeCloseTo(total, 6);
    }
  });

  it('splits the reward of a wrong answer into signed parts', () => {
    const wrong = `<think>${'x'.repeat(600)}</think><answer>C</answer>`;
    expect(scoreAnswer(wrong, '<answer>B</answer>')).toEqual({
      reward: -0.75,
      accuracy: 0,
      format: -0.5,
      length: -0.25,
    });
  });

  it('compares untagged solutions by value, tagged ones by text', () => {
    expect(accuracy_reward('<answer>-1.50</answer>', '-3/2')).toBe(1);
    expect(accuracy_reward('<answer>0.5</answer>', '$\\frac{1}{3}$')).toBe(0);
    expect(accuracy_reward('<answer>03</answer>', '<answer>3</answer>')).toBe(0);
    expect(accuracy_reward('<answer>one</answer>', '$x$')).toBe(0);
  });
});

describe('group_advantages', () => {
  it('agrees with the recorded groups', () => {
    for (const { rewards, advantages } of golden.advantages) {
      for (const [i, value] of group_advantages(rewards).entries())
        expect(Math.abs(value - advantages[i]!)).toBeLessThanOrEqual(3e-6 * Math.max(1, Math.abs(value)));
    }
  });

  it('adds noise after the division', async () => {
    const tensors = await loadGolden('grpo.safetensors');
    const { rewards, noise_scale } = golden.loss;
    const noise = f32(tensors, 'noise_standard_normal');
    for (const [i, value] of group_advantages(rewards, { noise, noise_scale }).entries())
      expect(value).toBeCloseTo(f32(tensors, 'advantages')[i]!, 6);
    expect(group_advantages([1, 1], { noise: [1, -1] })).toEqual([Math.fround(0.02), Math.fround(-0.02)]);
  });

  it('refuses a group of one', () => expect(() => group_advantages([1])).toThrow(/cannot be compared/));
});
