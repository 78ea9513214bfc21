import { beforeAll, describe, expect, it } from 'vitest';
import { presetConfig } from '../../src/app/train/presets';
import { randomNormals } from '../../src/generate/random';
import { group_advantages } from '../../src/grpo/group-advantages';
import { scoreGroup } from '../../src/grpo/rewards/score-group';
import { Tokenizer } from '../../src/model/tokenizer';
import { memoryStore } from '../../src/weights/file-store';
import { LiveGroups } from '../../src/worker/training/live-groups';
import type { RunQuestion } from '../../src/worker/training/question-source';
import type { RunConfig, TrainingEvent } from '../../src/worker/training-protocol';
import { goldenBytes } from '../support/golden';

const question = {
  problem: 'Where?\nOptions:\nA. here\nB. there',
  options: ['here', 'there'],
  solution: '<answer>A</answer>',
} as unknown as RunQuestion;
const TEXTS = [
  '<think>It is here.</think><answer>A</answer>',
  '<think>It is there.</think><answer>B</answer>',
  'none',
];

let tokenizer: Tokenizer;
let answers: number[][];
let config: RunConfig;
beforeAll(async () => {
  const names = ['tokenizer.json', 'tokenizer_config.json'];
  const files = await Promise.all(
    names.map(async (name) => [name, await goldenBytes(`checkpoint/${name}`)] as const),
  );
  tokenizer = await Tokenizer.load(memoryStore(new Map(files), 'here'));
  answers = TEXTS.map((text) => [...tokenizer.encode(text)]);
  // The last is cut off where the others end by themselves.
  const longest = Math.max(...answers.map(({ length }) => length)) + 1;
  answers[0]!.push(tokenizer.eos_token_id);
  answers[1]!.push(tokenizer.eos_token_id);
  answers[2] = Array.from({ length: longest }, (_, i) => answers[2]![i % answers[2]!.length]!);
  const toy = presetConfig('toy');
  const grpo = { ...toy.grpo, num_generations: 3, questions_per_step: 2, max_completion_length: longest };
  config = { ...toy, grpo: { ...grpo, advantage_noise: 0.02 } };
});

/** Groups of a step whose first question has number 6, and the answers that were posted last. */
function live(change: Partial<RunConfig> = {}) {
  const posted: TrainingEvent[] = [];
  const { temperature, top_k, top_p, max_completion_length, seed } = config.grpo;
  const settings = { temperature, top_k, top_p, max_new_tokens: max_completion_length, seed };
  const questions = [question, question];
  const step = { run: 'r', step: 4, first: 6, questions, settings, config: { ...config, ...change } };
  const groups = new LiveGroups(tokenizer, step, (event) => posted.push(event));
  return {
    write: (sample: number, place = 0) => {
      const record = (id: number) => ({ id }) as Parameters<LiveGroups['push']>[1][number]['record'];
      groups.push(
        place,
        answers[sample]!.map((id) => ({ sample, record: record(id) })),
      );
    },
    shown: (place = 0) => {
      groups.end(place);
      const last = posted.findLast((event) => event.type === 'group-traces');
      return last?.type === 'group-traces' ? last.answers : [];
    },
  };
}

/** What the trainer gives the group. */
async function trained(): Promise<{ rewards: number[]; advantages: number[] }> {
  const { max_completion_length, seed } = config.grpo;
  const given = answers.map((tokens) => ({ text: tokenizer.decode(tokens), tokens }));
  const { rewards } = await scoreGroup(config.rewards, given, question, {
    max_completion_length,
    max_length_reward: config.max_length_reward,
  });
  const noise = randomNormals(seed, 6, 3);
  return { rewards, advantages: group_advantages(rewards, { noise, noise_scale: 0.02 }) };
}

describe('live groups', () => {
  it('score answers as they end, with advantages among those that have', async () => {
    const { write, shown } = live();
    const { rewards } = await trained();
    write(1);
    expect(shown().map(({ scored }) => scored)).toEqual([
      undefined,
      { answer: 'B', terminated: true, reward: rewards[1], rewards: expect.any(Object) },
      undefined,
    ]);
    write(2);
    const [none, wrong, cut] = shown().map(({ scored }) => scored);
    expect(none).toBeUndefined();
    expect(cut).toMatchObject({ terminated: false, reward: -2 });
    expect(cut).not.toHaveProperty('answer');
    const noise = randomNormals(config.grpo.seed, 6, 3).slice(1);
    const two = group_advantages([rewards[1]!, rewards[2]!], { noise, noise_scale: 0.02 });
    expect([wrong!.advantage, cut!.advantage]).toEqual(two);
  });

  it('give a whole group what the trainer gives it', async () => {
    const { write, shown } = live();
    for (const sample of [2, 0, 1]) write(sample);
    const { rewards, advantages } = await trained();
    expect(new Set(rewards).size).toBe(3);
    expect(shown().map(({ scored }) => [scored!.reward, scored!.advantage])).toEqual(
      rewards.map((reward, i) => [reward, advantages[i]]),
    );
  });

  it('divide by the spread of all answers that have ended, where the run does', async () => {
    const { rewards } = await trained();
    const { write, shown } = live({
      grpo: { ...config.grpo, scale_rewards: 'batch', advantage_noise: 0 },
    });
    write(0);
    write(1);
    write(2, 1);
    expect(shown().map(({ scored }) => scored?.advantage)).toEqual([
      ...group_advantages(rewards.slice(0, 2), { scale_rewards: 'batch', batch: rewards }),
      undefined,
    ]);
  });

  it('leave the user’s own reward to the group’s end', () => {
    const rewards = [...config.rewards, { name: 'user_reward' as const, weight: 1, code: '() => [1, 1, 1]' }];
    const { write, shown } = live({ rewards });
    write(0);
    expect(shown()[0]).toMatchObject({ done: true });
    expect(shown()[0]).not.toHaveProperty('scored');
  });
});
