import { type AdamWConfig, DEFAULT_ADAMW } from './adamw-config';
import type { ScaleRewards } from './group-advantages';
import type { ScheduleConfig } from './learning-rate';
import type { LossConfig } from './policy-loss';

/** A run's configuration, by TRL's names (GRPOConfig) where TRL has the setting. */
export interface GrpoConfig extends LossConfig, AdamWConfig, ScheduleConfig {
  /** Answers a question. */
  num_generations: number;
  /** Questions a step. */
  questions_per_step: number;
  temperature: number;
  top_k: number;
  top_p: number;
  /** Default 0: off. */
  min_p?: number;
  /** Updates on the answers of one step; from the second on, ratios to the policy that wrote them are clipped. */
  num_iterations: number;
  /**
   * Updates into which the answers of a step are split, each on its share of the questions: more, but later ones are not
   * quite on-policy. Default 1.
   */
  steps_per_generation?: number;
  scale_rewards: ScaleRewards;
  /** Answers that were cut off do not count in the loss. */
  mask_truncated_completions: boolean;
  /** Standard deviation of the normal noise added to advantages; 0.02 in the original, 0 in TRL. */
  advantage_noise: number;
  seed: number;
}

/** The paper's own settings, but for the learning rate: its 1e-6 is for training all weights, a LoRA needs more. */
export const TINYLLAVA_VIDEO_R1: GrpoConfig = {
  ...DEFAULT_ADAMW,
  num_generations: 8,
  questions_per_step: 8,
  temperature: 1,
  top_k: 50,
  top_p: 1,
  min_p: 0,
  max_completion_length: 512,
  num_iterations: 1,
  steps_per_generation: 1,
  loss_type: 'grpo',
  beta: 0.01,
  epsilon: 0.2,
  epsilon_high: 0.2,
  importance_sampling_level: 'token',
  kl_clamp: 100,
  scale_rewards: 'group',
  mask_truncated_completions: false,
  advantage_noise: 0.02,
  learning_rate: 1e-4,
  lr_scheduler_type: 'cosine',
  warmup_ratio: 0.03,
  max_steps: 687,
  seed: 42,
};

/** TRL's defaults (GRPOConfig, 1.13), with a LoRA's learning rate. */
export const TRL: GrpoConfig = {
  ...TINYLLAVA_VIDEO_R1,
  top_k: 0,
  loss_type: 'dapo',
  beta: 0,
  kl_clamp: Number.POSITIVE_INFINITY,
  advantage_noise: 0,
  lr_scheduler_type: 'linear',
  warmup_ratio: 0,
};

/**
 * For the toy model: small enough that a CPU adapter sees it learn within half an hour. The rate falls to zero: at a
 * constant 3e-3 answers were right in 0.95 after 10 steps (0.6 before), and then grew for the length's reward alone until
 * they were cut off; at a constant 5e-4 nothing was gained in 10.
 */
export const TOY: GrpoConfig = {
  ...TINYLLAVA_VIDEO_R1,
  top_k: 0,
  max_completion_length: 160,
  learning_rate: 1e-3,
  lr_scheduler_type: 'linear',
  max_steps: 60,
};
