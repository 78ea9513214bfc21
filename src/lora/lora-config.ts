import { LORA_TARGETS, type LoraTarget } from '../blocks/qwen2-graphs';

/** A LoRA's configuration, by PEFT's names. */
export interface LoraConfig {
  /** Rank. */
  r: number;
  lora_alpha: number;
  /** Scaling lora_alpha / sqrt(r) (arXiv 2312.03732) in place of lora_alpha / r. */
  use_rslora: boolean;
  /** Adapted linear layers of a decoder layer. */
  target_modules: readonly LoraTarget[];
  /** Adapted decoder layers; left out: all. */
  layers_to_transform?: readonly number[];
}

/** Rank 8 on all seven linear layers, alpha 16. */
export const DEFAULT_LORA: LoraConfig = {
  r: 8,
  lora_alpha: 16,
  use_rslora: false,
  target_modules: LORA_TARGETS,
};

/** What B A x is multiplied by. */
export function loraScaling({ r, lora_alpha, use_rslora }: LoraConfig): number {
  return lora_alpha / (use_rslora ? Math.sqrt(r) : r);
}

/**
 * The rank that the kernels see: they read rows of A and B by fours. What is added is zero and stays so, as its
 * gradients are zero too.
 */
export function paddedRank(r: number): number {
  return 4 * Math.ceil(r / 4);
}

/** @throws Error with a sentence for the user where a configuration cannot be trained here. */
export function checkLoraConfig(config: LoraConfig, num_hidden_layers: number): void {
  const { r, lora_alpha, target_modules, layers_to_transform } = config;
  if (!Number.isInteger(r) || r < 1 || r > 256)
    throw new Error(`The LoRA rank r must be a whole number from 1 to 256, not ${r}.`);
  if (!(lora_alpha > 0)) throw new Error(`lora_alpha must be above 0, not ${lora_alpha}.`);
  if (target_modules.length === 0) throw new Error('A LoRA needs at least one target module.');
  const unknown = target_modules.find((target) => !LORA_TARGETS.includes(target));
  if (unknown)
    throw new Error(`${unknown} is no linear layer of the decoder: ${LORA_TARGETS.join(', ')} are.`);
  const beyond = layers_to_transform?.find((i) => !Number.isInteger(i) || i < 0 || i >= num_hidden_layers);
  if (beyond !== undefined)
    throw new Error(`The decoder has layers 0 to ${num_hidden_layers - 1}; the LoRA names layer ${beyond}.`);
}
