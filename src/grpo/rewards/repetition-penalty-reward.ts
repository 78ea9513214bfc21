/**
 * TRL's `get_repetition_penalty_reward` (arXiv 2502.03373, appendix C.2): `max_penalty` times the share of the answer's
 * n-grams of token ids that have come before; 0 for an answer of fewer than `ngram_size` tokens.
 * @param ngram_size 1 or more; TRL's default is 3.
 * @param max_penalty 0 or below; TRL's default is -1.
 */
export function repetition_penalty_reward(
  completion_ids: readonly number[],
  ngram_size = 3,
  max_penalty = -1,
): number {
  const total = completion_ids.length - ngram_size + 1;
  if (total < 1) return 0;
  const different = new Set<string>();
  for (let i = 0; i < total; i++) different.add(completion_ids.slice(i, i + ngram_size).join());
  const repeated = 1 - different.size / total;
  return repeated === 0 ? 0 : repeated * max_penalty;
}
