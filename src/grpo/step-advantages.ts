import { randomNormals } from '../generate/random';
import { group_advantages } from './group-advantages';
import type { GrpoConfig } from './grpo-config';

/**
 * Advantages of a group in a step, with the step's noise: those of the trainer, and of the answers that have a reward
 * so far while others are still written (undefined for these, and for one alone).
 * @param rewards of the group's answers, `[G]`; undefined where there is none yet.
 * @param question its number in the run, for the noise.
 * @param batch rewards of all groups of the step, this one's included.
 * @throws Error for a group of one.
 */
export function stepAdvantages(
  rewards: readonly (number | undefined)[],
  question: number,
  batch: readonly number[],
  { seed, scale_rewards, advantage_noise }: Pick<GrpoConfig, 'seed' | 'scale_rewards' | 'advantage_noise'>,
): (number | undefined)[] {
  const ended = rewards.flatMap((reward, sample) => (reward === undefined ? [] : [sample]));
  const advantages = rewards.map((): number | undefined => undefined);
  if (ended.length < Math.min(2, rewards.length)) return advantages;
  const noise = advantage_noise > 0 ? randomNormals(seed, question, rewards.length) : undefined;
  const own = group_advantages(
    ended.map((sample) => rewards[sample]!),
    {
      scale_rewards,
      batch,
      ...(noise ? { noise: ended.map((sample) => noise[sample]!), noise_scale: advantage_noise } : {}),
    },
  );
  for (const [place, sample] of ended.entries()) advantages[sample] = own[place]!;
  return advantages;
}
