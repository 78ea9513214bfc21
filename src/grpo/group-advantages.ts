/** Keeps the advantages of a group of equal rewards finite. */
const EPSILON = 1e-4;

/** Options of `group_advantages`. */
export interface AdvantageOptions {
  /**
   * Standard-normal numbers, one a completion, that are added times `noise_scale` after the division, also where all
   * rewards are equal (the original's scale is 0.02). Default: none.
   */
  noise?: ArrayLike<number>;
  noise_scale?: number;
  /** TRL's `scale_rewards`: 'none' leaves the difference from the mean undivided. Default 'group'. */
  scale_rewards?: 'group' | 'none';
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
  { noise, noise_scale = 0.02, scale_rewards = 'group' }: AdvantageOptions = {},
): number[] {
  const G = rewards.length;
  if (G < 2) throw new Error(`Advantages compare the answers of a group; ${G} cannot be compared.`);
  const values = Array.from(rewards, Math.fround);
  const mean = values.reduce((sum, value) => sum + value, 0) / G;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const std = Math.sqrt(squares / (G - 1));
  return values.map((value, i) => {
    const advantage = (value - mean) / (scale_rewards === 'none' ? 1 : std + EPSILON);
    return Math.fround(advantage + (noise ? noise_scale * noise[i]! : 0));
  });
}
