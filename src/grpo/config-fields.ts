import type { GrpoConfig } from './grpo-config';

/** A setting of a run as a form shows and checks it. */
export interface ConfigField {
  name: keyof GrpoConfig;
  /** One line: what it does. */
  explanation: string;
  /** Numbers: bounds, both allowed; `above` is not. */
  whole?: boolean;
  min?: number;
  max?: number;
  above?: number;
  /** The values of a choice. */
  choices?: readonly string[];
  flag?: boolean;
  /** May be left out. */
  optional?: boolean;
  /** Not a setting of TRL's GRPOConfig. */
  own?: boolean;
}

/** All settings, by TRL's names where TRL has them, in the order of a form. */
export const CONFIG_FIELDS: readonly ConfigField[] = [
  { name: 'max_steps', explanation: 'Steps of the run.', whole: true, min: 1, max: 1_000_000 },
  {
    name: 'num_generations',
    explanation: 'Answers to each question, compared with each other.',
    whole: true,
    min: 2,
    max: 64,
  },
  {
    name: 'questions_per_step',
    explanation: 'Questions of a step: more make a steadier gradient.',
    whole: true,
    min: 1,
    max: 1024,
    own: true,
  },
  {
    name: 'max_completion_length',
    explanation: 'Tokens of an answer at most.',
    whole: true,
    min: 1,
    // Qwen2.5's positions.
    max: 32_768,
  },
  {
    name: 'temperature',
    explanation:
      'How freely answers are drawn: 1 as the model thinks, lower is safer. What is learnt is the policy at it.',
    above: 0,
    max: 10,
  },
  { name: 'top_k', explanation: 'Draws from the likeliest tokens only; 0 from all.', whole: true, min: 0 },
  {
    name: 'top_p',
    explanation: 'Draws from the likeliest tokens that make up this probability; 1 from all.',
    above: 0,
    max: 1,
  },
  {
    name: 'min_p',
    explanation: 'Leaves out tokens below this share of the likeliest one’s probability; 0 none.',
    min: 0,
    max: 1,
    optional: true,
  },
  { name: 'learning_rate', explanation: 'How far a step moves the adapter.', above: 0, max: 1 },
  {
    name: 'lr_scheduler_type',
    explanation: 'How the learning rate goes on: constant, or falling to 0 at the last step.',
    choices: ['constant', 'constant_with_warmup', 'linear', 'cosine'],
  },
  {
    name: 'warmup_ratio',
    explanation: 'Share of the steps over which the learning rate rises from 0.',
    min: 0,
    max: 1,
  },
  {
    name: 'beta',
    explanation: 'Weight of the KL divergence, which holds the model near its base; 0 leaves it out.',
    min: 0,
    max: 10,
  },
  {
    name: 'loss_type',
    explanation:
      'How tokens are averaged: by answer (grpo), by a constant (dr_grpo), by step (dapo) or by group (bnpo).',
    choices: ['grpo', 'dr_grpo', 'dapo', 'bnpo'],
  },
  {
    name: 'epsilon',
    explanation: 'Ratios to the policy that drew an answer count down to 1 - epsilon.',
    min: 0,
    max: 1,
  },
  { name: 'epsilon_high', explanation: 'Ratios count up to 1 + epsilon_high.', min: 0, max: 10 },
  {
    name: 'importance_sampling_level',
    explanation: 'One ratio for each token, or one for the whole answer.',
    choices: ['token', 'sequence'],
  },
  {
    name: 'scale_rewards',
    explanation: 'Divides advantages by the spread of their group, of the whole step, or not at all.',
    choices: ['group', 'batch', 'none'],
  },
  {
    name: 'num_iterations',
    explanation: 'Times that the answers of a step are learned from.',
    whole: true,
    min: 1,
    max: 16,
  },
  {
    name: 'steps_per_generation',
    explanation: 'Updates into which the questions of a step are split.',
    whole: true,
    min: 1,
    optional: true,
  },
  {
    name: 'mask_truncated_completions',
    explanation: 'Answers that were cut off do not count in the loss.',
    flag: true,
  },
  {
    name: 'advantage_noise',
    explanation: 'Normal noise added to advantages, so that equal answers differ; 0.02 in the paper.',
    min: 0,
    max: 1,
    own: true,
  },
  {
    name: 'kl_clamp',
    explanation: 'A token’s KL counts up to this; 100 in the paper, infinite in TRL.',
    above: 0,
    own: true,
  },
  { name: 'max_grad_norm', explanation: 'Longer gradients are shortened to this; 0 never.', min: 0 },
  { name: 'weight_decay', explanation: 'Pulls the adapter’s weights towards 0.', min: 0, max: 1 },
  { name: 'adam_beta1', explanation: 'How long AdamW remembers gradients.', min: 0, max: 0.99999 },
  { name: 'adam_beta2', explanation: 'How long AdamW remembers their squares.', min: 0, max: 0.999999 },
  { name: 'adam_epsilon', explanation: 'Keeps AdamW’s division finite.', above: 0, max: 1 },
  {
    name: 'seed',
    explanation: 'The same seed on the same adapter gives the same run.',
    whole: true,
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
  },
];

/** The settings that a cold start uses; the others say how answers are drawn and scored, and it draws none. */
export const COLD_START_FIELDS: readonly (keyof GrpoConfig)[] = [
  'max_steps',
  'questions_per_step',
  'max_completion_length',
  'learning_rate',
  'lr_scheduler_type',
  'warmup_ratio',
  'max_grad_norm',
  'weight_decay',
  'adam_beta1',
  'adam_beta2',
  'adam_epsilon',
  'seed',
];

/** Problems by field, each a sentence for the user; empty where the configuration can be run. */
export type ConfigProblems = Partial<Record<keyof GrpoConfig, string>>;

/** Tokens of a question's answers, and answers of a step, at most: far more than a GPU has room for. */
const MOST_TOKENS = 65_536;
const MOST_ANSWERS = 4096;

/** Checks what a stage uses of a configuration, also of one that was typed or read from a file. */
export function configProblems(config: GrpoConfig, stage: 'grpo' | 'cold-start' = 'grpo'): ConfigProblems {
  const problems: ConfigProblems = {};
  const coldStart = stage === 'cold-start';
  for (const field of CONFIG_FIELDS) {
    if (coldStart && !COLD_START_FIELDS.includes(field.name)) continue;
    if (field.optional && config[field.name] === undefined) continue;
    const problem = problemOf(field, config[field.name]);
    if (problem) problems[field.name] = `${field.name} ${problem}.`;
  }
  if (coldStart) return problems;
  const { steps_per_generation = 1, questions_per_step, num_generations, max_completion_length } = config;
  if (num_generations * max_completion_length > MOST_TOKENS)
    problems.max_completion_length ??= `max_completion_length is at most ${Math.floor(MOST_TOKENS / num_generations)} with ${num_generations} answers to a question.`;
  if (num_generations * questions_per_step > MOST_ANSWERS)
    problems.questions_per_step ??= `questions_per_step is at most ${Math.floor(MOST_ANSWERS / num_generations)} with ${num_generations} answers to a question.`;
  if (
    !problems.steps_per_generation &&
    !problems.questions_per_step &&
    steps_per_generation > questions_per_step
  )
    problems.steps_per_generation = `steps_per_generation is at most questions_per_step, ${questions_per_step}.`;
  return problems;
}

function problemOf(field: ConfigField, value: unknown): string | undefined {
  const { whole, min, max, above, choices, flag } = field;
  if (choices) return choices.includes(value as string) ? undefined : `is one of ${choices.join(', ')}`;
  if (flag) return typeof value === 'boolean' ? undefined : 'is either on or off';
  const bounds = [
    ...(min === undefined ? [] : [`from ${min}`]),
    ...(above === undefined ? [] : [`above ${above}`]),
    ...(max === undefined || max === Number.MAX_SAFE_INTEGER ? [] : [`up to ${max}`]),
  ].join(' ');
  const wanted = `is a ${whole ? 'whole ' : ''}number ${bounds}`;
  if (typeof value !== 'number' || Number.isNaN(value)) return wanted;
  if (whole && !Number.isSafeInteger(value)) return wanted;
  if (!Number.isFinite(value) && field.name !== 'kl_clamp') return wanted;
  if (min !== undefined && value < min) return wanted;
  if (max !== undefined && value > max) return wanted;
  return above !== undefined && value <= above ? wanted : undefined;
}
