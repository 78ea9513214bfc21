import type { GpuTensor } from '../gpu/tensor';
import type { AdamW } from './adamw';
import type { Completion } from './completion-row';
import type { GrpoConfig } from './grpo-config';
import type { PolicyBatch } from './policy-batch';
import type { PolicyGradient } from './policy-gradient';
import { policyLoss } from './policy-loss';
import { LOGP_DIFFERENCE } from './step-metrics';

/** A question's answers with all that an update needs of them. */
export interface ScoredGroup {
  batch: PolicyBatch;
  /** The prompt's embeddings, `[prompt_rows, H]`. */
  prompt: GpuTensor;
  completions: Completion[];
  /** Log-probabilities of the tokens as they were drawn, one answer behind the other. */
  sampling_logps: ArrayLike<number>;
  /** Under the reference, where beta is not 0. */
  ref_logps?: ArrayLike<number>;
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
  policy: PolicyGradient,
  optimiser: AdamW,
  groups: readonly ScoredGroup[],
  config: GrpoConfig,
  learning_rate: number,
  signal?: AbortSignal,
): Promise<UpdateResult> {
  const parts = split(groups, config.steps_per_generation ?? 1);
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
  // Of the groups of the first update: what the policy itself said when it was the one that had drawn them.
  const own = new Map<ScoredGroup, ArrayLike<number>>();
  let skipped = 0;
  let grad_norm = 0;
  for (let iteration = 0; iteration < config.num_iterations; iteration++) {
    for (const [place, part] of parts.entries()) {
      const first = iteration === 0 && place === 0;
      policy.clearGradients();
      const items = part.reduce((sum, { batch }) => sum + batch.tokens.length, 0);
      let finite = true;
      for (const group of part) {
        if (first) signal?.throwIfAborted();
        const forward = await policy.forward(group.batch, group.prompt);
        try {
          const { logps, entropies } = forward;
          if (first) own.set(group, logps);
          const old_logps = first ? undefined : (own.get(group) ?? group.sampling_logps);
          if (iteration === 0 && first)
            for (let i = 0; i < logps.length; i++)
              sums.difference = Math.max(sums.difference, Math.abs(group.sampling_logps[i]! - logps[i]!));
          const masked = group.completions.map((c) => config.mask_truncated_completions && !c.terminated);
          const { loss, d_logps, metrics } = policyLoss(
            {
              logps,
              ...(old_logps ? { old_logps } : {}),
              ...(group.ref_logps ? { ref_logps: group.ref_logps } : {}),
              offsets: group.batch.offsets,
              advantages: group.completions.map(({ advantage }) => advantage),
              masked,
              num_items_in_batch: items,
            },
            config,
          );
          finite &&= Number.isFinite(loss);
          // The mean over the questions; `dapo` has divided by the tokens of all of them already.
          const weight = config.loss_type === 'dapo' ? 1 : 1 / part.length;
          sums.loss += (weight * loss) / (config.num_iterations * parts.length);
          addTokens(sums, { group, masked, entropies, metrics, level: config.importance_sampling_level });
          if (finite)
            await policy.backward(
              forward,
              Float32Array.from(d_logps, (d) => weight * d),
            );
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
}

/** Consecutive parts of about the same size. */
function split<T>(items: readonly T[], count: number): T[][] {
  const parts = Math.max(1, Math.min(count, items.length));
  return Array.from({ length: parts }, (_, i) =>
    items.slice(Math.floor((i * items.length) / parts), Math.floor(((i + 1) * items.length) / parts)),
  );
}

function addTokens(
  sums: Sums,
  given: {
    group: ScoredGroup;
    masked: readonly boolean[];
    entropies: ArrayLike<number>;
    metrics: ReturnType<typeof policyLoss>['metrics'];
    level: GrpoConfig['importance_sampling_level'];
  },
): void {
  const { group, masked, entropies, metrics, level } = given;
  const { offsets } = group.batch;
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
