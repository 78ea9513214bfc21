import { configProblems, type LoraConfig, type RunConfig } from '../../worker/training-protocol';

/** The decoder's linear layers that a LoRA can adapt. */
export const LORA_TARGET_NAMES = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.o_proj',
  'mlp.gate_proj',
  'mlp.up_proj',
  'mlp.down_proj',
] as const satisfies readonly LoraConfig['target_modules'][number][];

/** More than this is a slip, and leaves the numbers that shaders have. */
const MOST_ALPHA = 65_536;
const MOST_WEIGHT = 1000;

/** What is wrong with a run's configuration, by field, each a sentence; empty where it can be started. */
export function runProblems(config: RunConfig): Readonly<Record<string, string>> {
  const { rewards, stage } = config;
  const problems: Record<string, string> = { ...configProblems(config.grpo, stage) };
  const { r, lora_alpha, target_modules, layers_to_transform } = config.lora;
  whole(problems, 'r', r, 1, 256);
  if (!(lora_alpha > 0 && lora_alpha <= MOST_ALPHA))
    problems.lora_alpha = `A number above 0, up to ${MOST_ALPHA}.`;
  if (target_modules.length === 0) problems.target_modules = 'Choose at least one layer.';
  if (layers_to_transform?.some((layer) => !Number.isInteger(layer) || layer < 0))
    problems.layers_to_transform = 'Layer numbers from 0 with commas between, or nothing for all.';
  // The toy world has as many as one asks for.
  whole(problems, 'eval_questions', config.eval_questions, 0, 10_000);
  whole(problems, 'eval_steps', config.eval_steps, 0, 1_000_000);
  whole(problems, 'save_steps', config.save_steps, 1, 1_000_000);
  if (stage === 'cold-start') return problems;
  if (rewards.length === 0) problems.rewards = 'Choose at least one reward.';
  const weightless = rewards.find(({ weight }) => !(Math.abs(weight) <= MOST_WEIGHT));
  if (weightless)
    problems.rewards = `The weight of ${weightless.name} is a number from −${MOST_WEIGHT} to ${MOST_WEIGHT}.`;
  if (rewards.some(({ name, code }) => name === 'user_reward' && !code?.trim()))
    problems.rewards = 'Write your own reward, or leave it out.';
  if (rewardsLength(config)) whole(problems, 'max_length_reward', config.max_length_reward, 1, 1_000_000);
  if (!(config.kl_limit >= 0)) problems.kl_limit = 'A number from 0.';
  return problems;
}

/** Whether a reward of the run pays for the length of the thought. */
export function rewardsLength({ rewards }: RunConfig): boolean {
  return rewards.some(({ name }) => name === 'signed_reward' || name === 'format_reward');
}

/** The same of settings that are to change while a run goes on, which has done `step` steps. */
export function liveProblems(config: RunConfig, step: number): Readonly<Record<string, string>> {
  const problems = runProblems(config);
  if (problems.max_steps || config.grpo.max_steps > step) return problems;
  return { ...problems, max_steps: `${step} are done already: give more, or stop the run.` };
}

function whole(
  problems: Record<string, string>,
  name: string,
  value: number,
  min: number,
  max: number,
): void {
  if (!Number.isSafeInteger(value) || value < min || value > max)
    problems[name] = `A whole number from ${min} to ${max.toLocaleString('en')}.`;
}

/** A number as it stands in a field: 1e-4, 0.04, inf. */
export function settingText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return 'inf';
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential().replace('e-0', 'e-');
  return Number.isNaN(value) ? '' : String(value);
}

/** The number that a field's text is; NaN where it is none. */
export function parseSetting(text: string): number {
  const trimmed = text.trim().toLowerCase().replace('−', '-');
  if (trimmed === 'inf' || trimmed === 'infinity') return Number.POSITIVE_INFINITY;
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/.test(trimmed) ? Number(trimmed) : Number.NaN;
}
