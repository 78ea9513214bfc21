/** Keeps the advantages of a group of equal rewards finite. */
const EPSILON = 1e-4;

/** TRL's `scale_rewards`: advantages by the deviation of their group, by that of all groups of the step, or undivided. */
export type ScaleRewards = 'group' | 'batch' | 'none';

/** Options of `group_advantages`. */
export interface AdvantageOptions {
  /**
   * Standard-normal numbers, one a completion, that are added times `noise_scale` after the division, also where all
   * rewards are equal (the original's scale is 0.02). Default: none.
   */
  noise?: ArrayLike<number>;
  noise_scale?: number;
  /** What a group is divided by. Default 'group'. */
  scale_rewards?: ScaleRewards;
  /** `batch`: the rewards of all groups of the step, this one's included. */
  batch?: ArrayLike<number>;
}

/**
 * Group-relative advantages (reward - mean) / (std + 1e-4), with the unbiased standard deviation (n - 1), as in
 * `tinyllava_trainer_reason.py`. Computed in float64 from float32 rewards, so equal rewards give exactly 0.
 * @param rewards of one question's completions, `[G]`.
 * @returns `[G]`, rounded to float32.
 * @throws Error for fewer than two rewards: one alone has no standard deviation.
 */
export function group_advantages(
  rewards: ArrayLike<number>,
  { noise, noise_scale = 0.02, scale_rewards = 'group', batch = rewards }: AdvantageOptions = {},
): number[] {
  const G = rewards.length;
  if (G < 2) throw new Error(`Advantages compare the answers of a group; ${G} cannot be compared.`);
  const values = Array.from(rewards, Math.fround);
  const { mean, std: own } = moments(values);
  const std = scale_rewards === 'batch' ? moments(Array.from(batch, Math.fround)).std : own;
  return values.map((value, i) => {
    const advantage = (value - mean) / (scale_rewards === 'none' ? 1 : std + EPSILON);
    return Math.fround(advantage + (noise ? noise_scale * noise[i]! : 0));
  });
}

function moments(values: readonly number[]): { mean: number; std: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, std: Math.sqrt(squares / (values.length - 1)) };
}
