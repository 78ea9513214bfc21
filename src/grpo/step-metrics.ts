import { solutionLetter } from '../data/question-file';
import { parseTrace } from '../generate/think-parser';
import type { Completion, QuestionText } from './completion-row';
import { selfCheck, selfCheckShares } from './self-check';

/**
 * A step's line of the log: the keys of TRL's GRPOTrainer (1.13) and their meaning. Values that are not finite are left
 * out, so a line is plain JSON.
 */
export type StepMetrics = { step: number } & Record<string, number>;

/** The log's key of the largest difference between the sampler's log-probability of a token and the trainer's. */
export const LOGP_DIFFERENCE = 'sampling/sampling_logp_difference/max';

/** A group as the log sees it. */
export interface LoggedGroup {
  completions: readonly Completion[];
  /** Rows of the prompt, visual tokens included. */
  prompt_rows: number;
  /** With it, self-checks are logged. */
  about?: QuestionText;
}

/**
 * What the answers of a step are like: rewards, lengths, self-checks.
 * @param scale_rewards decides what `frac_reward_zero_std` counts, as in TRL: groups, or the one batch.
 */
export function answerMetrics(
  groups: readonly LoggedGroup[],
  scale_rewards: 'group' | 'batch' | 'none',
): Record<string, number> {
  const all = groups.flatMap(({ completions }) => completions);
  const rewards = all.map(({ reward }) => reward);
  const spread =
    scale_rewards === 'batch' ? [rewards] : groups.map((g) => g.completions.map((c) => c.reward));
  const lengths = all.map(({ tokens }) => tokens.length);
  const terminated = all.flatMap((c) => (c.terminated ? [c.tokens.length] : []));
  const names = [...new Set(all.flatMap((c) => Object.keys(c.rewards)))];
  return {
    reward: mean(rewards),
    reward_std: deviation(rewards),
    // torch.isclose to 0.
    frac_reward_zero_std: mean(spread.map((values) => Number(deviation(values) <= 1e-8))),
    ...Object.fromEntries(
      names.flatMap((name) => {
        const values = all.flatMap((c) => c.rewards[name] ?? []);
        return [
          [`rewards/${name}/mean`, mean(values)],
          [`rewards/${name}/std`, deviation(values)],
        ];
      }),
    ),
    ...extent('length', lengths),
    // TRL's answer where no answer has ended.
    ...extent('terminated_length', terminated.length > 0 ? terminated : [0]),
    'completions/clipped_ratio': 1 - terminated.length / all.length,
    ...checks(groups),
  };
}

/** Leaves out what is no finite number. */
export function finiteOnly(values: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => Number.isFinite(value)));
}

function extent(name: string, values: readonly number[]): Record<string, number> {
  return {
    [`completions/mean_${name}`]: mean(values),
    [`completions/min_${name}`]: Math.min(...values),
    [`completions/max_${name}`]: Math.max(...values),
  };
}

function checks(groups: readonly LoggedGroup[]): Record<string, number> {
  const all = groups.flatMap(({ about, completions }) =>
    about
      ? completions.map(({ text }) =>
          selfCheck(
            parseTrace(text, { options: about.options }),
            about.options,
            solutionLetter(about.solution),
          ),
        )
      : [],
  );
  return all.length > 0 ? { ...selfCheckShares(all) } : {};
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Unbiased standard deviation; NaN of fewer than two. */
function deviation(values: readonly number[]): number {
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}
