/** How a token's loss enters the batch's: TRL's `loss_type`. */
export type LossType = 'grpo' | 'dr_grpo' | 'dapo' | 'bnpo';

/** The loss's settings, by TRL's names (GRPOConfig). */
export interface LossConfig {
  loss_type: LossType;
  /** Weight of the KL divergence from the reference. 0: the reference is not needed. */
  beta: number;
  /** Ratios are clipped to [1 - epsilon, 1 + epsilon_high]. */
  epsilon: number;
  epsilon_high: number;
  /** One ratio a token, or one a sequence (GSPO, arXiv 2507.18071). */
  importance_sampling_level: 'token' | 'sequence';
  /** A token's KL is clamped to +-this; the original's is 100, TRL's is not clamped. */
  kl_clamp: number;
  /** Divides the loss of `dr_grpo`. */
  max_completion_length: number;
}

/** One group's tokens, one answer behind the other. */
export interface LossInput {
  /** Natural-log probabilities of the tokens under the policy, `[N]`. */
  logps: ArrayLike<number>;
  /** Under the policy that drew them; left out: the same as `logps` (on-policy). */
  old_logps?: ArrayLike<number>;
  /** Under the reference. Needed where beta is not 0. */
  ref_logps?: ArrayLike<number>;
  /** Where each answer begins, and the end of the last, `[G + 1]`. */
  offsets: readonly number[];
  /** `[G]`. */
  advantages: readonly number[];
  /** Answers whose tokens do not count (`mask_truncated_completions`). */
  masked?: readonly boolean[];
  /** `dapo`: active tokens of the update, all its groups together. Default: those of this group. */
  num_items_in_batch?: number;
}

/** The loss, its gradient, and what TRL logs of it. */
export interface LossResult {
  loss: number;
  /** d loss / d logps, `[N]`. */
  d_logps: Float64Array;
  metrics: {
    /** Mean over the active tokens; undefined where beta is 0. */
    kl?: number;
    'clip_ratio/low_mean': number;
    'clip_ratio/high_mean': number;
    'clip_ratio/region_mean': number;
    /** The smallest share of an answer, and the largest. */
    'clip_ratio/low_min': number;
    'clip_ratio/high_max': number;
  };
}

/**
 * GRPO's loss (arXiv 2402.03300, equation 3) in float64: per token
 * `-min(r A, clip(r, 1 - epsilon, 1 + epsilon_high) A) + beta KL`, r the ratio to the policy that drew it and
 * KL = exp(ref - logp) - (ref - logp) - 1 (k3), averaged as `loss_type` says: `grpo` the mean of the answers' means,
 * `dr_grpo` (arXiv 2503.20783) the sum by G * max_completion_length, `dapo` (arXiv 2503.14476) by the active tokens of
 * the update, `bnpo` by those of the group.
 * @throws Error where beta needs a reference that is not given.
 */
export function policyLoss(input: LossInput, config: LossConfig): LossResult {
  const { logps, offsets, advantages } = input;
  const { beta, epsilon, epsilon_high } = config;
  if (beta !== 0 && !input.ref_logps)
    throw new Error('A loss with beta needs the log-probs of the reference.');
  const G = advantages.length;
  const lengths = Array.from({ length: G }, (_, g) =>
    input.masked?.[g] ? 0 : offsets[g + 1]! - offsets[g]!,
  );
  const active = lengths.reduce((a, b) => a + b, 0);
  const d_logps = new Float64Array(logps.length);
  const clipped = { low: new Array<number>(G).fill(0), high: new Array<number>(G).fill(0) };
  let loss = 0;
  let kl = 0;
  for (let g = 0; g < G; g++) {
    const n = lengths[g]!;
    if (n === 0) continue;
    const A = advantages[g]!;
    const weight = tokenWeight(config, { G, n, active, items: input.num_items_in_batch ?? active });
    const start = offsets[g]!;
    const logRatio = (i: number) => (input.old_logps ? logps[i]! - input.old_logps[i]! : 0);
    const perSequence = config.importance_sampling_level === 'sequence';
    let mean = 0;
    for (let i = start; perSequence && i < start + n; i++) mean += logRatio(i) / n;
    for (let i = start; i < start + n; i++) {
      const ratio = Math.exp(perSequence ? mean : logRatio(i));
      const kept = Math.min(Math.max(ratio, 1 - epsilon), 1 + epsilon_high);
      loss -= weight * Math.min(ratio * A, kept * A);
      // Where the clipped term is the smaller one, the ratio has no say.
      const slope = ratio * A <= kept * A ? -weight * A * ratio : 0;
      if (!perSequence) d_logps[i]! += slope;
      else for (let j = start; j < start + n; j++) d_logps[j]! += slope / n;
      if (ratio < 1 - epsilon && A < 0) clipped.low[g]! += 1 / n;
      if (ratio > 1 + epsilon_high && A > 0) clipped.high[g]! += 1 / n;
      if (beta === 0) continue;
      const difference = input.ref_logps![i]! - logps[i]!;
      const raw = Math.exp(difference) - difference - 1;
      const bounded = Math.min(Math.max(raw, -config.kl_clamp), config.kl_clamp);
      loss += weight * beta * bounded;
      kl += bounded / active;
      if (raw === bounded) d_logps[i]! += weight * beta * (1 - Math.exp(difference));
    }
  }
  // A sequence's one ratio counts once, a token's as often as there are tokens.
  const share = (values: number[]) =>
    values.reduce((sum, value, g) => {
      const part =
        config.importance_sampling_level === 'sequence' ? 1 / G : lengths[g]! / Math.max(1, active);
      return sum + value * part;
    }, 0);
  const low = share(clipped.low);
  const high = share(clipped.high);
  return {
    loss,
    d_logps,
    metrics: {
      ...(beta === 0 ? {} : { kl }),
      'clip_ratio/low_mean': low,
      'clip_ratio/high_mean': high,
      'clip_ratio/region_mean': low + high,
      // Infinite where no answer counts.
      'clip_ratio/low_min': Math.min(...clipped.low.filter((_, g) => lengths[g]! > 0)),
      'clip_ratio/high_max': Math.max(...clipped.high.filter((_, g) => lengths[g]! > 0)),
    },
  };
}

/**
 * What the loss of one of an update's questions counts in it: the mean over them, but for `dapo`, which has divided by
 * the tokens of all of them already.
 */
export function questionWeight(loss_type: LossType, questions: number): number {
  return loss_type === 'dapo' ? 1 : 1 / questions;
}

function tokenWeight(
  { loss_type, max_completion_length }: LossConfig,
  { G, n, active, items }: { G: number; n: number; active: number; items: number },
): number {
  switch (loss_type) {
    case 'grpo':
      return 1 / (n * G);
    case 'dr_grpo':
      return 1 / (G * max_completion_length);
    case 'dapo':
      return 1 / items;
    case 'bnpo':
      return 1 / active;
  }
}
