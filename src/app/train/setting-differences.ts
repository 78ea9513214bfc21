import { CONFIG_FIELDS, type RunConfig } from '../../worker/training-protocol';
import { settingText } from './run-problems';

/** A setting that is not the same in all of some runs. */
export interface SettingDifference {
  /** As the form names it. */
  name: string;
  /** By run: as it stands in a field; '–' where a run has no such setting. */
  values: string[];
}

/** Names as short as a line of the list needs them; `''` leaves the name out, as the value says it all. */
const SHORT: Readonly<Record<string, string>> = {
  stage: '',
  loss_type: '',
  scale_rewards: 'scale',
  lr_scheduler_type: '',
  learning_rate: 'lr',
  num_generations: 'G',
  questions_per_step: 'questions',
  max_completion_length: 'length',
  target_modules: '',
};

/** Settings that a line of the list has room for. */
const NOTED = 2;

/** The settings in which runs differ, in the form's order. */
export function settingDifferences(configs: readonly RunConfig[]): SettingDifference[] {
  const all = configs.map(settingTexts);
  const names = new Set(all.flatMap((one) => [...one.keys()]));
  return [...names]
    .map((name) => ({ name, values: all.map((one) => one.get(name) ?? '–') }))
    .filter(({ values }) => values.some((value) => value !== values[0]));
}

/** In a few words, in what a run differs from another one: "lr 3e-4, beta 0"; '' where in nothing. */
export function differenceNote(config: RunConfig, from: RunConfig): string {
  const words = settingDifferences([config, from]).map(({ name, values: [value = ''] }) => {
    // A sum of functions and weights is too long for a line.
    if (name === 'rewards') return 'other rewards';
    if (name === 'user_reward’s code') return 'another function';
    if (name === 'max_steps') return `${value} steps`;
    const short = SHORT[name] ?? name;
    return short === '' ? value : `${short} ${value}`;
  });
  const more = words.length - NOTED;
  return [...words.slice(0, NOTED), ...(more > 0 ? [`${more} more`] : [])].join(', ');
}

/** All settings as text, by name. */
function settingTexts({ stage, grpo, lora, rewards, ...checks }: RunConfig): Map<string, string> {
  const code = rewards.find(({ name }) => name === 'user_reward')?.code;
  return new Map([
    ['stage', stage === 'grpo' ? 'GRPO' : 'cold start'],
    ...CONFIG_FIELDS.map(({ name }) => [name, valueText(grpo[name])] as const).sort(laterLast),
    ...Object.entries(lora).map(([name, value]) => [name, valueText(value)] as const),
    ...(stage === 'grpo'
      ? ([
          ['rewards', rewards.map(({ name, weight }) => `${name} × ${settingText(weight)}`).join(', ')],
        ] as const)
      : []),
    ...(code === undefined ? [] : ([['user_reward’s code', code.trim()]] as const)),
    ...Object.entries(checks).map(([name, value]) => [name, valueText(value)] as const),
  ]);
}

/** How long a run goes on says less about it than its other settings. */
function laterLast([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return Number(a === 'max_steps' || a === 'seed') - Number(b === 'max_steps' || b === 'seed');
}

function valueText(value: unknown): string {
  if (typeof value === 'number') return settingText(value);
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (Array.isArray(value)) return value.map((one) => shortModule(String(one))).join(' ');
  return value === undefined ? '–' : String(value);
}

/** `self_attn.q_proj` as the form shows it: q. */
export function shortModule(name: string): string {
  return name.replace(/^.*\./, '').replace('_proj', '');
}
