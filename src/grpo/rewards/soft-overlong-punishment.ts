/**
 * TRL's `get_soft_overlong_punishment` (DAPO, arXiv 2503.14476, equation 13) of an answer of that many tokens: 0 up to
 * `max_completion_len - soft_punish_cache`, from there on a line down to -1 at `max_completion_len`, -1 beyond.
 */
export function soft_overlong_punishment_reward(
  tokens: number,
  max_completion_len: number,
  soft_punish_cache: number,
): number {
  const free = max_completion_len - soft_punish_cache;
  if (tokens <= free) return 0;
  return tokens <= max_completion_len ? (free - tokens) / soft_punish_cache : -1;
}
