import type { LossConfig, LossType } from '../../grpo/policy-loss';
import type { ReferenceTensors } from './reference';

/** grpo.json. */
export interface GrpoReference {
  rewards: {
    rows: {
      text: string;
      solution: string;
      accuracy: number;
      format: number;
      length: number;
      total: number;
    }[];
  };
  advantages: { rewards: number[]; advantages: number[] }[];
  loss: {
    beta: number;
    noise_scale: number;
    /** Tokens of each completion that count. */
    mask_lengths: number[];
    rewards: number[];
    original_loss: number;
    original_loss_with_zero_noise: number;
    global_grad_norm_lora: number;
  };
  kl_table: { logp: number; ref_logp: number; kl: number; dkl_dlogp: number }[];
  trl: {
    epsilon_low: number;
    epsilon_high: number;
    max_completion_length: number;
    num_items_in_batch: number;
    cases: {
      name: string;
      loss_type: string;
      beta: number;
      old_logps: string;
      importance_sampling_level?: string;
      loss: number;
      metrics: Record<string, number>;
    }[];
  };
  adamw: {
    lr: number;
    runs: { name: string; weight_decay: number; max_norm: number; losses: number[]; grad_norms: number[] }[];
  };
}

/** Where each completion begins in a list of all tokens, and the end of the last. */
export function completionOffsets({ mask_lengths }: GrpoReference['loss']): number[] {
  const offsets = [0];
  for (const length of mask_lengths) offsets.push(offsets.at(-1)! + length);
  return offsets;
}

/** Those of a recorded `[G, n]`, padded behind, that belong to tokens: one completion behind the other. */
export function tokenValues(
  padded: ArrayLike<number>,
  { mask_lengths }: GrpoReference['loss'],
): Float32Array<ArrayBuffer> {
  const width = padded.length / mask_lengths.length;
  return Float32Array.from(
    mask_lengths.flatMap((length, g) => Array.from({ length }, (_, i) => padded[g * width + i]!)),
  );
}

/** The recorded completions' token ids. */
export function completionIds(ids: ArrayLike<number>, { mask_lengths }: GrpoReference['loss']): number[][] {
  const width = ids.length / mask_lengths.length;
  return mask_lengths.map((length, g) => Array.from({ length }, (_, i) => ids[g * width + i]!));
}

/** The loss of the original's trainer. */
export function originalLoss(meta: GrpoReference): LossConfig {
  return {
    loss_type: 'grpo',
    beta: meta.loss.beta,
    epsilon: meta.trl.epsilon_low,
    epsilon_high: meta.trl.epsilon_high,
    importance_sampling_level: 'token',
    kl_clamp: 100,
    max_completion_length: meta.trl.max_completion_length,
  };
}

/** The loss of a recorded case of TRL. */
export function trlLoss(meta: GrpoReference, recorded: GrpoReference['trl']['cases'][number]): LossConfig {
  return {
    ...originalLoss(meta),
    loss_type: recorded.loss_type as LossType,
    beta: recorded.beta,
    kl_clamp: Number.POSITIVE_INFINITY,
    importance_sampling_level: recorded.importance_sampling_level === 'sequence' ? 'sequence' : 'token',
  };
}

/** Names of the LoRA's tensors in grpo.safetensors. */
export function loraNames(grpo: ReferenceTensors): string[] {
  return grpo.names().flatMap((name) => (name.startsWith('lora.') ? [name.slice('lora.'.length)] : []));
}
