/** AdamW's settings, by the names of TRL and PyTorch. */
export interface AdamWConfig {
  adam_beta1: number;
  adam_beta2: number;
  adam_epsilon: number;
  weight_decay: number;
  /** Gradients of a larger global norm are scaled down to it. 0: never. */
  max_grad_norm: number;
}

/** Those of Hugging Face's TrainingArguments. */
export const DEFAULT_ADAMW: AdamWConfig = {
  adam_beta1: 0.9,
  adam_beta2: 0.999,
  adam_epsilon: 1e-8,
  weight_decay: 0,
  max_grad_norm: 1,
};
