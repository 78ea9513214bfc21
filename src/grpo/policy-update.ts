import type { LanguageModel } from '../model/language-model';
import type { AdamW } from './adamw';
import type { Completion } from './completion-row';
import type { GrpoConfig } from './grpo-config';
import type { PolicyBatch } from './policy-batch';
import type { PolicyGradient } from './policy-gradient';
import { policyLoss, questionWeight } from './policy-loss';
import { groupRange, type PassGroup, type PolicyPassInput, preparePasses } from './policy-passes';
import { LOGP_DIFFERENCE } from './step-metrics';

/** A question's answers with all that an update needs of them. */
export interface ScoredGroup extends PassGroup {
  completions: Completion[];
  /** Log-probabilities of the tokens as they were drawn, at the policy's temperature, one answer behind the other. */
  sampling_logps: ArrayLike<number>;
}

/** What an update works on. */
export interface Updated {
  policy: PolicyGradient;
  optimiser: AdamW;
  language: LanguageModel;
}

/** What the updates of a step did. */
export interface UpdateResult {
  /** By the log's keys. */
  metrics: Record<string, number>;
  /** Updates that were left out because loss or gradient was not finite. */
  skipped: number;
}

/** Sums over the tokens of all updates of a step, for the log. */
interface Sums {
  loss: number;
  kl: number;
  entropy: number;
  low: number;
  high: number;
  weight: number;
  tokens: number;
  low_min: number;
  high_max: number;
  difference: number;
}

/**
 * Moves the adapter on the answers of one step: `num_iterations` times over them, each time in `steps_per_generation`
 * updates on a share of the questions. The first update is on-policy; ratios of the later ones are to the policy that
 * drew the answers. An update whose loss or gradient is not finite changes nothing.
 * @param signal ends it before the first update.
 */
export async function updatePolicy(
  { policy, optimiser, language }: Updated,
  groups: readonly ScoredGroup[],
  config: GrpoConfig,
  learning_rate: number,
  signal?: AbortSignal,
): Promise<UpdateResult> {
  const parts: PolicyPassInput<ScoredGroup>[][] = [];
  const sums: Sums = {
    loss: 0,
    kl: 0,
    entropy: 0,
    low: 0,
    high: 0,
    weight: 0,
    tokens: 0,
    low_min: Number.POSITIVE_INFINITY,
    high_max: Number.NEGATIVE_INFINITY,
    difference: 0,
  };
  // By pass. Of those of the first update: what the policy itself said when it was the one that had drawn them.
  const own = new Map<PolicyBatch, Float32Array>();
  const reference = new Map<PolicyBatch, Float32Array>();
  let skipped = 0;
  let grad_norm = 0;
  try {
    for (const part of split(groups, config.steps_per_generation ?? 1))
      parts.push(preparePasses(language, policy, part));
    for (const { batch, prompt } of config.beta === 0 ? [] : parts.flat()) {
      signal?.throwIfAborted();
      reference.set(batch, (await policy.reference(batch, prompt)).logps);
    }
    const masked = ({ completions }: ScoredGroup) =>
      completions.map((c) => config.mask_truncated_completions && !c.terminated);
    // As TRL counts them: the tokens of the whole step, shared out evenly among its updates.
    const items = groups.reduce((sum, group) => sum + activeTokens(group, masked(group)), 0) / parts.length;
    for (let iteration = 0; iteration < config.num_iterations; iteration++) {
      for (const [place, part] of parts.entries()) {
        const first = iteration === 0 && place === 0;
        policy.clearGradients();
        const questions = part.reduce((sum, pass) => sum + pass.groups.length, 0);
        const weight = questionWeight(config.loss_type, questions);
        let finite = true;
        for (const pass of part) {
          if (first) signal?.throwIfAborted();
          const { batch } = pass;
          const forward = await policy.forward(batch, pass.prompt);
          try {
            const { logps, entropies } = forward;
            if (first) own.set(batch, logps);
            const gradients = new Float32Array(logps.length);
            for (const [i, group] of pass.groups.entries()) {
              const { from, to, offsets } = groupRange(batch, i);
              const cut = (values: Float32Array | undefined) => values?.subarray(from, to);
              const drawn = group.sampling_logps;
              if (first)
                for (let j = from; j < to; j++)
                  sums.difference = Math.max(sums.difference, Math.abs(drawn[j - from]! - logps[j]!));
              const old_logps = first ? undefined : (cut(own.get(batch)) ?? drawn);
              const ref_logps = cut(reference.get(batch));
              const hidden = masked(group);
              const { loss, d_logps, metrics } = policyLoss(
                {
                  logps: logps.subarray(from, to),
                  ...(old_logps ? { old_logps } : {}),
                  ...(ref_logps ? { ref_logps } : {}),
                  offsets,
                  advantages: group.completions.map(({ advantage }) => advantage),
                  masked: hidden,
                  num_items_in_batch: items,
                },
                config,
              );
              finite &&= Number.isFinite(loss);
              sums.loss += (weight * loss) / (config.num_iterations * parts.length);
              addTokens(sums, {
                offsets,
                masked: hidden,
                entropies: entropies.subarray(from, to),
                metrics,
                level: config.importance_sampling_level,
              });
              gradients.set(
                d_logps.map((d) => weight * d),
                from,
              );
            }
            if (finite) await policy.backward(forward, gradients);
          } finally {
            forward.destroy();
          }
        }
        const step = finite ? await optimiser.apply(policy.gradients, learning_rate) : undefined;
        grad_norm = step?.grad_norm ?? Number.NaN;
        if (!step?.applied) skipped += 1;
      }
    }
    return { metrics: logged(sums, config, grad_norm), skipped };
  } finally {
    for (const { prompt } of parts.flat()) prompt.buffer.destroy();
  }
}

/** Consecutive parts of about the same size. */
function split<T>(items: readonly T[], count: number): T[][] {
  const parts = Math.max(1, Math.min(count, items.length));
  return Array.from({ length: parts }, (_, i) =>
    items.slice(Math.floor((i * items.length) / parts), Math.floor(((i + 1) * items.length) / parts)),
  );
}

function activeTokens({ completions }: ScoredGroup, masked: readonly boolean[]): number {
  return completions.reduce((sum, { tokens }, g) => sum + (masked[g] ? 0 : tokens.length), 0);
}

function addTokens(
  sums: Sums,
  given: {
    offsets: readonly number[];
    masked: readonly boolean[];
    entropies: ArrayLike<number>;
    metrics: ReturnType<typeof policyLoss>['metrics'];
    level: GrpoConfig['importance_sampling_level'];
  },
): void {
  const { offsets, masked, entropies, metrics, level } = given;
  let active = 0;
  for (const [g, hidden] of masked.entries()) {
    if (hidden) continue;
    for (let i = offsets[g]!; i < offsets[g + 1]!; i++) sums.entropy += entropies[i]!;
    active += offsets[g + 1]! - offsets[g]!;
  }
  sums.tokens += active;
  sums.kl += active * (metrics.kl ?? 0);
  // A sequence's one ratio counts once, a token's as often as there are tokens.
  const weight = level === 'sequence' ? masked.length : active;
  sums.weight += weight;
  sums.low += weight * metrics['clip_ratio/low_mean'];
  sums.high += weight * metrics['clip_ratio/high_mean'];
  sums.low_min = Math.min(sums.low_min, metrics['clip_ratio/low_min']);
  sums.high_max = Math.max(sums.high_max, metrics['clip_ratio/high_max']);
}

function logged(sums: Sums, { beta }: GrpoConfig, grad_norm: number): Record<string, number> {
  const low = sums.low / Math.max(1, sums.weight);
  const high = sums.high / Math.max(1, sums.weight);
  return {
    loss: sums.loss,
    grad_norm,
    entropy: sums.entropy / Math.max(1, sums.tokens),
    ...(beta === 0 ? {} : { kl: sums.kl / Math.max(1, sums.tokens) }),
    'clip_ratio/low_mean': low,
    'clip_ratio/low_min': sums.low_min,
    'clip_ratio/high_mean': high,
    'clip_ratio/high_max': sums.high_max,
    'clip_ratio/region_mean': low + high,
    [LOGP_DIFFERENCE]: sums.difference,
  };
}
