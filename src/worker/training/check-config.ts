import { configProblems } from '../../grpo/config-fields';
import type { GrpoConfig } from '../../grpo/grpo-config';
import { checkLoraConfig } from '../../lora/lora-config';
import type { TinyLlava } from '../../model/tiny-llava';
import type { RunConfig } from '../training-protocol';

/** @throws Error with a sentence for each setting that cannot be. */
export function checkGrpo(config: GrpoConfig, stage?: RunConfig['stage']): void {
  const problems = Object.values(configProblems(config, stage));
  if (problems.length > 0) throw new Error(problems.join(' '));
}

/** @throws Error with what of a configuration cannot be trained. */
export function checkConfig({ stage, grpo, lora, rewards }: RunConfig, model: TinyLlava): void {
  checkGrpo(grpo, stage);
  checkLoraConfig(lora, model.config.text_config.num_hidden_layers);
  if (stage === 'cold-start') return;
  if (rewards.length === 0) throw new Error('A run needs at least one reward.');
  if (rewards.some(({ name, code }) => name === 'user_reward' && !code?.trim()))
    throw new Error('Your own reward has no code yet.');
}
