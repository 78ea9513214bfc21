import { COLD_START_FIELDS, type GrpoConfig, type RunConfig } from '../../worker/training-protocol';

/** A part of the form: what is always in sight, and what a press shows. */
interface FieldGroup {
  title: string;
  main: readonly (keyof GrpoConfig)[];
  more: readonly (keyof GrpoConfig)[];
}

const GRPO_GROUPS: readonly FieldGroup[] = [
  {
    title: 'Group',
    main: ['num_generations', 'questions_per_step', 'max_completion_length', 'temperature'],
    more: ['top_k', 'top_p', 'min_p', 'seed'],
  },
  {
    title: 'Loss',
    main: ['loss_type', 'beta', 'epsilon', 'scale_rewards', 'num_iterations'],
    more: [
      'epsilon_high',
      'importance_sampling_level',
      'steps_per_generation',
      'mask_truncated_completions',
      'advantage_noise',
      'kl_clamp',
    ],
  },
  {
    title: 'Optimiser',
    main: ['learning_rate', 'max_grad_norm', 'max_steps'],
    more: ['lr_scheduler_type', 'warmup_ratio', 'weight_decay', 'adam_beta1', 'adam_beta2', 'adam_epsilon'],
  },
];

const used = (name: keyof GrpoConfig) => COLD_START_FIELDS.includes(name);
const COLD_START_GROUPS = GRPO_GROUPS.map(({ title, main, more }) => ({
  title: title === 'Group' ? 'Traces' : title,
  main: main.filter(used),
  more: more.filter(used),
})).filter(({ main }) => main.length > 0);

/** The form's parts in a stage: the settings that it uses. */
export const FIELD_GROUPS: Readonly<Record<RunConfig['stage'], readonly FieldGroup[]>> = {
  grpo: GRPO_GROUPS,
  'cold-start': COLD_START_GROUPS,
};

/** Where a setting does something else in the cold start. */
export const COLD_START_EXPLANATIONS: Partial<Record<keyof GrpoConfig, string>> = {
  questions_per_step: 'Traces of a step: more make a steadier gradient.',
  max_completion_length: 'Tokens of a held-out answer at most. The memory plan takes traces to be as long.',
};

/** Settings that may change while a run goes on. */
export const LIVE_FIELDS: readonly (keyof GrpoConfig)[] = ['learning_rate', 'beta', 'max_steps'];

/** What the other settings of a run do, a line each. */
export const EXPLANATIONS = {
  r: 'Rank of the adapter: how many directions each layer can change in.',
  lora_alpha: 'Strength: the adapter is scaled by lora_alpha / r.',
  use_rslora: 'Scales by lora_alpha / √r, so that strength does not shrink with the rank.',
  target_modules: 'Linear layers of the decoder that are adapted.',
  layers_to_transform: 'Decoder layers that are adapted, numbers with commas between; empty: all.',
  max_length_reward:
    'A thought of so many characters gets the whole length part of signed_reward and format_reward.',
  eval_questions: 'Held-out questions of each check; 0 leaves checks out.',
  eval_steps: 'A check every so many steps, besides before and after; 0: only those.',
  save_steps: 'A checkpoint every so many steps.',
  kl_limit: 'The run pauses and says so where the KL rises above this; 0: never.',
} as const;

/** What each reward function does, a line each, in the form's order. */
export const REWARD_EXPLANATIONS = {
  signed_reward: 'The paper’s: accuracy, format and length with a sign, −2 where nothing is right.',
  accuracy_reward: '1 where the answer is the label, else 0.',
  format_reward: '0.5 for <think>…</think><answer>…</answer> alone, up to 1 as the thought grows; else 0.',
  think_format_reward: 'TRL’s: 1 where a <think> part is there and closed, else 0.',
  soft_overlong_punishment: 'Down to −1 as an answer nears max_completion_length.',
  repetition_penalty: 'Down to −1 the more an answer repeats itself.',
  user_reward: 'Yours: a JavaScript function, run apart from the page.',
} as const;
