import type { FileQuestion } from '../../data/question-file';
import { writeQuestionFile } from '../../data/question-file';
import type { GrpoConfig } from '../../grpo/grpo-config';
import type { RewardSetting } from '../../grpo/rewards/reward-setting';
import { buildPrompt, IMAGE_PLACEHOLDER } from '../../model/prompt';
import type { RunConfig } from '../training-protocol';
import checkpointCode from './trl/checkpoint.py?raw';
import encodeVideos from './trl/encode_videos.py?raw';
import rewardsCode from './trl/rewards.py?raw';
import train from './trl/train.py?raw';

/** What of a run goes into its script. */
export interface TrlRun {
  name: string;
  model: string;
  config: RunConfig;
  data: { kind: string };
}

/** What the scripts were last run with. */
const RUN_WITH = 'TRL 1.13.0, PEFT 0.21.0, Transformers 5.18.0, accelerate 1.15.0 and PyTorch 2.13.0';

/** Settings that TRL's GRPOConfig has under the same name. */
const SAME_NAME = [
  'num_generations',
  'max_completion_length',
  'temperature',
  'top_k',
  'top_p',
  'num_iterations',
  'loss_type',
  'beta',
  'epsilon',
  'epsilon_high',
  'importance_sampling_level',
  'scale_rewards',
  'mask_truncated_completions',
  'learning_rate',
  'lr_scheduler_type',
  'adam_beta1',
  'adam_beta2',
  'adam_epsilon',
  'weight_decay',
  'max_grad_norm',
  'seed',
] as const satisfies readonly (keyof GrpoConfig)[];

/**
 * The files that go on with a run in Python, but for the adapter: `train.py` for TRL, its rewards, the encoding of the
 * videos, the data set, and what to do with them.
 * @param step that the adapter is of.
 */
export function trlFiles(
  run: TrlRun,
  step: number,
  questions: readonly Omit<FileQuestion, 'line'>[],
): { name: string; text: string }[] {
  return [
    { name: 'README.md', text: readme(run, step) },
    { name: 'train.py', text: trainScript(run, step) },
    { name: 'rewards.py', text: rewardsCode },
    { name: 'checkpoint.py', text: checkpointCode },
    { name: 'encode_videos.py', text: encodeVideos },
    { name: 'dataset.jsonl', text: writeQuestionFile(questions) },
  ];
}

function trainScript({ config, data }: TrlRun, step: number): string {
  const { grpo, rewards } = config;
  const settings: Record<string, unknown> = {
    ...Object.fromEntries(SAME_NAME.map((name) => [name, grpo[name]])),
    min_p: grpo.min_p || undefined,
    // A device's batch is counted in answers: a question a pass.
    per_device_train_batch_size: grpo.num_generations,
    ...stepSettings(config, step),
  };
  const lines = Object.entries(settings).map(([name, value]) => `    ${name}=${python(value)},`);
  const PROBLEM = 'PROBLEM';
  // As the run asks: about files with a space before the instruction, in the toy world with a newline.
  const prompt = buildPrompt(PROBLEM, { training: data.kind !== 'toy' });
  const [before, after] = prompt.split(`${IMAGE_PLACEHOLDER}\n${PROBLEM}`) as [string, string];
  const fill = (code: string, name: string, empty: string, value: string) => {
    const line = `${name} = ${empty}\n`;
    if (!code.includes(line)) throw new Error(`The script has no line for ${name}.`);
    return code.replace(line, () => `${name} = ${value}\n`);
  };
  const made = rewards.map((reward) => `    ${rewardCall(reward, config)},\n`).join('');
  let code = fill(train, 'SETTINGS', 'dict()', `dict(\n${lines.join('\n')}\n)`);
  code = fill(code, 'REWARDS', '[]', `[\n${made}]`);
  code = fill(code, 'REWARD_WEIGHTS', '[]', python(rewards.map(({ weight }) => weight)));
  code = fill(code, 'PROMPT_BEFORE', '""', python(before));
  return fill(code, 'PROMPT_AFTER', '""', python(after));
}

/** Steps of the run that are left; of one that is done, as many again. */
function stepsToGo({ grpo: { max_steps } }: RunConfig, step: number): number {
  return step < max_steps ? max_steps - step : max_steps;
}

/** TRL counts updates as steps, and passes as `steps_per_generation`. Warm-up by steps: not all versions take a ratio. */
function stepSettings(config: RunConfig, step: number): Record<string, number> {
  const { grpo, save_steps } = config;
  const { questions_per_step, num_iterations, steps_per_generation: parts = 1, warmup_ratio } = grpo;
  const gradient_accumulation_steps = Math.ceil(questions_per_step / parts);
  const updates = parts * num_iterations;
  const max_steps = stepsToGo(config, step) * updates;
  return {
    max_steps,
    warmup_steps: Math.ceil(warmup_ratio * max_steps),
    gradient_accumulation_steps,
    steps_per_generation: gradient_accumulation_steps * parts,
    save_steps: save_steps * updates,
  };
}

function rewardCall(reward: RewardSetting, { grpo, max_length_reward }: RunConfig): string {
  const { max_completion_length: most } = grpo;
  switch (reward.name) {
    case 'signed_reward':
      return `rewards.make_signed_reward(${max_length_reward})`;
    case 'accuracy_reward':
      return 'rewards.make_accuracy_reward()';
    case 'format_reward':
      return `rewards.make_format_reward(${max_length_reward})`;
    case 'think_format_reward':
      return 'rewards.make_think_format_reward()';
    case 'soft_overlong_punishment':
      return `rewards.make_soft_overlong_punishment(${most}, ${reward.soft_punish_cache ?? Math.ceil(most / 5)})`;
    case 'repetition_penalty':
      return `rewards.make_repetition_penalty(${reward.ngram_size ?? 3}, ${reward.max_penalty ?? -1})`;
    case 'user_reward':
      return `rewards.make_user_reward(${python(reward.code ?? '')})`;
  }
}

/** A value as Python writes it. A JSON text is a Python text as well, lone surrogates aside. */
function python(value: unknown): string {
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (value === undefined || value === null) return 'None';
  if (value === Number.POSITIVE_INFINITY) return 'float("inf")';
  if (Array.isArray(value)) return `[${value.map(python).join(', ')}]`;
  return JSON.stringify(value);
}

function readme({ name, model, config, data }: TrlRun, step: number): string {
  const { grpo, rewards } = config;
  const notes = [
    `The scripts were run with ${RUN_WITH}, on a CPU, in one process and in two. GPUs, and a model of the published size, were not tried.`,
    'On N GPUs a step has N times as many questions. Divide `gradient_accumulation_steps` and `steps_per_generation` by N for the run’s own number.',
    `AdamW starts with empty moments, and the schedule of the learning rate anew, over ${
      step < grpo.max_steps ? 'the steps that are left' : 'as many steps as the run had, which is done'
    }.`,
    ...(grpo.advantage_noise > 0
      ? [`TRL adds no noise to advantages; the run had ${grpo.advantage_noise}.`]
      : []),
    ...(Number.isFinite(grpo.kl_clamp) && grpo.beta > 0
      ? [`TRL does not clamp the KL; the run did, at ${grpo.kl_clamp}.`]
      : []),
    ...(rewards.some((reward) => reward.name === 'user_reward')
      ? [
          'Your own reward was written in JavaScript. Write it again in `rewards.py`, where its source is shown.',
        ]
      : []),
    ...(data.kind === 'toy'
      ? [
          'The data set is a sample of the toy world’s questions with their clips, which never run out in the page.',
        ]
      : []),
  ];
  const videos = data.kind === 'files' ? 'VIDEO_FOLDER' : '.';
  return `# ${name.replaceAll(/[\r\n]+/g, ' ')}, from step ${step}

Goes on with the run on one or many GPUs, with TRL, PEFT and accelerate. The model is \`${model}\`.

1. Install: \`pip install "trl>=1.13" peft accelerate datasets av pillow\`
2. Encode the videos once: \`python encode_videos.py --model MODEL_FOLDER --videos ${videos}\`
3. Train: \`accelerate launch train.py --model MODEL_FOLDER\`

\`MODEL_FOLDER\` is the checkpoint that the run trained: \`config.json\`, safetensors and the tokenizer's files, or its id on the hub.
Checkpoints go into \`out/\`. In the end \`out/adapter/\` has the adapter as \`adapter/\` has it here: it loads in the playground, and with PEFT.

${notes.map((note) => `- ${note}\n`).join('')}`;
}
