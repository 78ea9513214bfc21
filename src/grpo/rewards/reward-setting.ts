/** A reward function of a run, and how much it counts (TRL's `reward_weights`). */
export interface RewardSetting {
  /**
   * `signed`: the original's accuracy + format + length with the -2; the others are TRL's, by its names; `user`: a
   * JavaScript function that the page runs in its sandbox.
   */
  name:
    | 'signed_reward'
    | 'accuracy_reward'
    | 'format_reward'
    | 'think_format_reward'
    | 'soft_overlong_punishment'
    | 'repetition_penalty'
    | 'user_reward';
  weight: number;
  /** Source of `user_reward`. */
  code?: string;
  /** `repetition_penalty`: tokens of an n-gram. Default 3. */
  ngram_size?: number;
  /** `repetition_penalty`: reward of an answer that only repeats itself. Default -1. */
  max_penalty?: number;
  /** `soft_overlong_punishment`: tokens before the limit from which on it punishes. Default a fifth of the limit. */
  soft_punish_cache?: number;
}

/** The names under which rewards are logged: those of the functions that TRL's factories return. */
export const REWARD_KEYS: Readonly<Record<RewardSetting['name'], string>> = {
  signed_reward: 'signed_reward',
  accuracy_reward: 'accuracy_reward',
  format_reward: 'format_reward',
  think_format_reward: 'think_format_reward',
  soft_overlong_punishment: 'soft_overlong_punishment_reward',
  repetition_penalty: 'repetition_penalty_reward',
  user_reward: 'user_reward',
};
