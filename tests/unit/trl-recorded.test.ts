import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { group_advantages, type ScaleRewards } from '../../src/grpo/group-advantages';
import { TRL } from '../../src/grpo/grpo-config';
import { learningRate, type SchedulerType } from '../../src/grpo/learning-rate';
import { type LossConfig, policyLoss, questionWeight } from '../../src/grpo/policy-loss';
import { repetition_penalty_reward } from '../../src/grpo/rewards/repetition-penalty-reward';
import { soft_overlong_punishment_reward } from '../../src/grpo/rewards/soft-overlong-punishment';
import { think_format_reward } from '../../src/grpo/rewards/think-format-reward';
import { answerMetrics } from '../../src/grpo/step-metrics';

/** What tests/fixtures/trl/record.py writes. */
interface Recorded {
  defaults: Record<string, unknown>;
  rewards: {
    think_format_reward: [string[], number[]];
    completion_ids: number[][];
    soft_overlong_punishment: { max_completion_len: number; soft_punish_cache: number; rewards: number[] }[];
    repetition_penalty: { ngram_size: number; max_penalty: number; rewards: number[] }[];
  };
  answers: number[][];
  scores: number[][];
  reward_weights: number[];
  max_completion_length: number;
  advantages: { scale_rewards: ScaleRewards; advantages: number[]; metrics: Record<string, number> }[];
  logps: number[][];
  old_logps: number[][];
  ref_logps: number[][];
  losses: {
    config: Omit<LossConfig, 'kl_clamp' | 'max_completion_length'> & { mask_truncated_completions: boolean };
    off_policy: boolean;
    questions: { loss: number; d_logps: number[]; metrics: Record<string, number> }[];
  }[];
  schedules: { lr_scheduler_type: SchedulerType; max_steps: number; warmup_ratio: number; rates: number[] }[];
}

const recorded = JSON.parse(readFileSync('tests/fixtures/trl/recorded.json', 'utf8')) as Recorded;
const { answers, max_completion_length } = recorded;
const G = 4;
const questions = [0, 1];
const ofQuestion = <T>(values: readonly T[], question: number) =>
  values.slice(G * question, G * (question + 1));
// In the recording all but those that are as long as they may be end with EOS.
const terminated = (tokens: readonly number[]) => tokens.length < max_completion_length;

it('has TRL’s defaults as a preset', () => {
  expect(TRL).toMatchObject(recorded.defaults);
  expect(TRL.epsilon_high).toBe(TRL.epsilon);
});

describe('what TRL 1.13 computes', () => {
  it('as rewards', () => {
    const { rewards } = recorded;
    const [texts, format] = rewards.think_format_reward;
    expect(new Set(format).size).toBe(2);
    expect(texts.map(think_format_reward)).toEqual(format);
    for (const { max_completion_len, soft_punish_cache, rewards: values } of rewards.soft_overlong_punishment)
      for (const [i, ids] of rewards.completion_ids.entries())
        expect(
          soft_overlong_punishment_reward(ids.length, max_completion_len, soft_punish_cache),
        ).toBeCloseTo(values[i]!, 6);
    for (const { ngram_size, max_penalty, rewards: values } of rewards.repetition_penalty)
      for (const [i, ids] of rewards.completion_ids.entries())
        expect(repetition_penalty_reward(ids, ngram_size, max_penalty)).toBeCloseTo(values[i]!, 6);
  });

  it.each(recorded.advantages)('as advantages and log, scaled by $scale_rewards', (of) => {
    const totals = recorded.scores.map((row) =>
      row.reduce((sum, reward, i) => sum + reward * recorded.reward_weights[i]!, 0),
    );
    const { scale_rewards } = of;
    const advantages = questions.flatMap((question) =>
      group_advantages(ofQuestion(totals, question), { scale_rewards, batch: totals }),
    );
    expect(advantages.length).toBe(of.advantages.length);
    // Float32 leaves TRL's equal rewards a spread of 1e-7; ours have none.
    for (const [i, advantage] of advantages.entries())
      expect(Math.abs(advantage - of.advantages[i]!)).toBeLessThan(i < G ? 1e-6 : 2e-3);
    const groups = questions.map((question) => ({
      prompt_rows: 3,
      completions: ofQuestion(answers, question).map((tokens, i) => {
        const [think_format_reward = 0, repetition_penalty_reward = 0] = recorded.scores[G * question + i]!;
        return {
          tokens,
          text: '',
          terminated: terminated(tokens),
          reward: totals[G * question + i]!,
          rewards: { think_format_reward, repetition_penalty_reward },
          advantage: 0,
        };
      }),
    }));
    const metrics = answerMetrics(groups, scale_rewards);
    const { num_tokens, ...logged } = of.metrics;
    expect(num_tokens).toBeGreaterThan(0);
    expect(Object.keys(metrics).sort()).toEqual(Object.keys(logged).sort());
    for (const [name, value] of Object.entries(logged)) expect(metrics[name], name).toBeCloseTo(value, 5);
  });

  it.each(recorded.losses)('as loss $config.loss_type by $config.importance_sampling_level', (of) => {
    const { mask_truncated_completions, ...settings } = of.config;
    const config: LossConfig = { ...settings, kl_clamp: Number.POSITIVE_INFINITY, max_completion_length };
    const advantages = recorded.advantages.find(({ scale_rewards }) => scale_rewards === 'group')!.advantages;
    const masked = answers.map((tokens) => mask_truncated_completions && !terminated(tokens));
    const active = answers.reduce((sum, tokens, i) => sum + (masked[i] ? 0 : tokens.length), 0);
    for (const question of questions) {
      const own = ofQuestion(answers, question);
      const offsets = [0];
      for (const tokens of own) offsets.push(offsets.at(-1)! + tokens.length);
      const { loss, d_logps, metrics } = policyLoss(
        {
          logps: ofQuestion(recorded.logps, question).flat(),
          ...(of.off_policy ? { old_logps: ofQuestion(recorded.old_logps, question).flat() } : {}),
          ref_logps: ofQuestion(recorded.ref_logps, question).flat(),
          offsets,
          advantages: ofQuestion(advantages, question),
          masked: ofQuestion(masked, question),
          num_items_in_batch: active,
        },
        config,
      );
      const weight = questionWeight(config.loss_type, questions.length);
      const trl = of.questions[question]!;
      expect(Math.abs(weight * loss - trl.loss)).toBeLessThan(1e-6);
      expect(d_logps.length).toBe(trl.d_logps.length);
      for (const [i, slope] of trl.d_logps.entries())
        expect(Math.abs(weight * d_logps[i]! - slope)).toBeLessThan(1e-6);
      for (const [name, value] of Object.entries(trl.metrics))
        expect(metrics[name as keyof typeof metrics], name).toBeCloseTo(value, 5);
    }
  });

  it.each(recorded.schedules)('as learning rate, $lr_scheduler_type to $max_steps', ({ rates, ...of }) => {
    for (const [step, rate] of rates.entries())
      expect(Math.abs(learningRate(step, { ...of, learning_rate: 0.003 }) - rate)).toBeLessThan(1e-9);
  });
});
