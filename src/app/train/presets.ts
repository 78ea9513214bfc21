import {
  type GrpoConfig,
  type LoraConfig,
  type RunConfig,
  TINYLLAVA_VIDEO_R1,
  TOY,
  TRL,
} from '../../worker/training-protocol';

import { LORA_TARGET_NAMES } from './run-problems';

export type PresetName = 'quick' | 'toy' | 'paper' | 'trl' | 'yours';

/** The presets, in order. `yours` is what was changed last. */
export const PRESETS: readonly { name: PresetName; label: string; what: string }[] = [
  {
    name: 'quick',
    label: 'Quick',
    what: 'Ten short steps on the toy world: to see a run from start to end.',
  },
  { name: 'toy', label: 'Toy', what: 'Sixty steps on the toy world: the model learns to look twice.' },
  {
    name: 'paper',
    label: 'Paper',
    what: 'The settings of TinyLLaVA-Video-R1, with LoRA in place of all weights.',
  },
  { name: 'trl', label: 'TRL', what: 'The defaults of TRL’s GRPOTrainer: DAPO’s loss, no KL.' },
  { name: 'yours', label: 'Yours', what: 'The settings that you changed last.' },
];

const LORA: LoraConfig = {
  r: 8,
  lora_alpha: 16,
  use_rslora: false,
  target_modules: LORA_TARGET_NAMES,
};

/** A configuration to start from. */
export function presetConfig(name: Exclude<PresetName, 'yours'>): RunConfig {
  return { ...COMMON, ...PRESET_CONFIGS[name] };
}

const COMMON = {
  stage: 'grpo',
  lora: LORA,
  rewards: [{ name: 'signed_reward', weight: 1 }],
} as const satisfies Partial<RunConfig>;

const QUICK: GrpoConfig = {
  ...TOY,
  num_generations: 4,
  questions_per_step: 2,
  max_completion_length: 96,
  max_steps: 10,
};

const PRESET_CONFIGS: Record<
  Exclude<PresetName, 'yours'>,
  Pick<RunConfig, 'grpo' | 'max_length_reward' | 'eval_questions' | 'eval_steps' | 'save_steps' | 'kl_limit'>
> = {
  quick: {
    grpo: QUICK,
    max_length_reward: 300,
    eval_questions: 16,
    eval_steps: 0,
    save_steps: 5,
    kl_limit: 2,
  },
  toy: { grpo: TOY, max_length_reward: 300, eval_questions: 64, eval_steps: 20, save_steps: 10, kl_limit: 2 },
  paper: {
    grpo: TINYLLAVA_VIDEO_R1,
    max_length_reward: 1200,
    eval_questions: 64,
    eval_steps: 100,
    save_steps: 20,
    kl_limit: 1,
  },
  trl: {
    grpo: TRL,
    max_length_reward: 1200,
    eval_questions: 64,
    eval_steps: 100,
    save_steps: 20,
    kl_limit: 1,
  },
};
