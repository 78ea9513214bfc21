/**
 * `npm run train -- [--preset toy|tinyllava-video-r1|trl] [--model toy-base|URL] [--steps N] [--seed S] [--out DIR] [--resume DIR]
 * [--eval-questions N] [--before FILE] [--config JSON] [--json]`: GRPO with LoRA on the toy world, in headless Chromium, by the engine of
 * the page. --config changes settings of the preset, by TRL's names: '{"learning_rate":1e-3}'.
 * Prints one line a step. --out gets the log (log.jsonl, a step a line) and, every ten steps and at the end, a
 * checkpoint: the adapter as PEFT writes it, and what --resume needs to go on. --steps counts those done before.
 * The model without adapter answers the same questions alike whatever the seed: --before takes another run's
 * eval_before.json in the place of doing it again.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CHECKPOINT_FILES, readTrainerState } from '../grpo/checkpoint';
import { TINYLLAVA_VIDEO_R1, TOY, TRL } from '../grpo/grpo-config';
import type { StepMetrics } from '../grpo/step-metrics';
import { withEnginePage } from './engine-page';
import type { EncodedFiles, HeldOutAccuracy, TrainConfig, TrainingEval, TrainingRequest } from './train/page';

const LOG = 'log.jsonl';
const BEFORE = 'eval_before.json';
const SAVE_STEPS = 10;
/** Settings by name, in the place of the toy preset's. The paper's thoughts have 1200 characters. */
const PRESETS = new Map<string, Partial<TrainConfig>>([
  ['toy', {}],
  ['tinyllava-video-r1', { ...TINYLLAVA_VIDEO_R1, max_length_reward: 1200 }],
  ['trl', { ...TRL, max_length_reward: 1200 }],
]);

const OPTIONS = {
  preset: { type: 'string', default: 'toy' },
  model: { type: 'string', default: 'toy-base' },
  steps: { type: 'string', default: '60' },
  seed: { type: 'string', default: '1' },
  out: { type: 'string' },
  resume: { type: 'string' },
  'eval-questions': { type: 'string', default: '512' },
  before: { type: 'string' },
  config: { type: 'string', default: '{}' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

const USAGE =
  'npm run train -- [--preset toy|tinyllava-video-r1|trl] [--model toy-base|URL] [--steps N] [--seed S]\n' +
  '                 [--out DIR] [--resume DIR] [--eval-questions N] [--before FILE] [--config JSON] [--json]\n' +
  '  --preset  settings to start from; default toy\n' +
  '  --model   a folder of public/models, or the address of one; default toy-base\n' +
  '  --steps N  steps of the whole run, those done before a --resume included; default 60\n' +
  '  --seed S  the same seed gives the same run; default 1\n' +
  '  --out DIR  gets the log, a step a line, and checkpoints with the adapter as PEFT writes it\n' +
  '  --resume DIR  goes on from the checkpoint in such a folder\n' +
  '  --eval-questions N  held-out questions before and after, 0 for none; default 512\n' +
  "  --before FILE  eval_before.json of another run of the same model, in the check's place\n" +
  "  --config JSON  changes settings of the preset, by TRL's names: '{\"learning_rate\":1e-3}'\n" +
  '  --json  prints a line of JSON a step, and the report as the last one';

/** Runs the command with its arguments; returns the exit code. */
export async function main(args: string[]): Promise<number> {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (cause) {
    console.error(`${(cause as Error).message}\n${USAGE}`);
    return 2;
  }
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const preset = PRESETS.get(values.preset);
  if (!preset) {
    console.error(`There is no preset "${values.preset}"; there are ${[...PRESETS.keys()].join(', ')}.`);
    return 2;
  }
  const [steps, seed, evalQuestions] = [values.steps, values.seed, values['eval-questions']].map(Number);
  for (const [name, value] of Object.entries({ steps, seed, 'eval-questions': evalQuestions })) {
    const least = name === 'steps' ? 1 : 0;
    if (!Number.isSafeInteger(value) || value! < least) {
      console.error(`--${name} takes a whole number from ${least} on.`);
      return 2;
    }
  }
  const changed = readConfig(values.config);
  if (typeof changed === 'string') {
    console.error(changed);
    return 2;
  }
  // Length and random numbers of the run are asked for apart.
  const { max_steps: _, seed: __, ...settings } = preset;
  const config = { ...settings, ...changed };
  const resumed = values.resume === undefined ? undefined : await readRun(values.resume);
  if (resumed && resumed.step > steps!) {
    console.error(`The checkpoint in ${values.resume} is of step ${resumed.step}: ask for more --steps.`);
    return 2;
  }
  const log = values.out === undefined ? undefined : await RunFolder.open(values.out, resumed?.lines ?? []);
  // A check of as many questions need not be made again.
  const known = values.before === undefined ? resumed?.before : await readBefore(values.before);
  const before = known?.questions === evalQuestions ? known : undefined;
  if (known && !before && values.before !== undefined) {
    console.error(`${values.before} is about ${known.questions} questions, not ${evalQuestions}.`);
    return 2;
  }
  if (before) await log?.before(before);
  const isUrl = /^https?:/.test(values.model);
  return withEnginePage('src/cli/train/page.html', async (page, origin) => {
    await page.exposeFunction('reportStep', async (line: StepMetrics) => {
      console.log(values.json ? JSON.stringify(line) : describeStep(line));
      await log?.step(line);
    });
    await page.exposeFunction('reportProgress', (what: string, done: number, total: number) => {
      if (!values.json && (done === total || done % 64 === 0)) console.log(`${what}: ${done} of ${total}`);
    });
    await page.exposeFunction('reportBefore', (accuracy: HeldOutAccuracy) => log?.before(accuracy));
    await page.exposeFunction('saveCheckpoint', (files: EncodedFiles) => log?.checkpoint(files));
    const request: TrainingRequest = {
      modelUrl: isUrl ? values.model : `${origin}models/${values.model}/`,
      modelName: values.model,
      steps: steps!,
      seed: seed!,
      evalQuestions: evalQuestions!,
      config,
      ...(resumed ? { checkpoint: resumed.files } : {}),
      ...(before ? { before } : {}),
      save_steps: log ? SAVE_STEPS : 0,
    };
    await page.waitForFunction('typeof window.trainModel === "function"');
    const report = await page.evaluate((given) => window.trainModel(given), request);
    if (!values.json) {
      const { eval_before, eval_after } = report;
      const blank = (share = Number.NaN) => `, black frames ${percent(share)}`;
      if (eval_before)
        console.log(`before: ${describeEval(eval_before)}${blank(report.accuracy_blank_frames_before)}`);
      if (eval_after)
        console.log(`after:  ${describeEval(eval_after)}${blank(report.accuracy_blank_frames_after)}`);
    }
    console.log(JSON.stringify(report));
    return 0;
  });
}

const parse = (args: string[]) => parseArgs({ args, options: OPTIONS }).values;

/** Settings of the command line, or what is wrong with them. */
function readConfig(text: string): Partial<TrainConfig> | string {
  try {
    const config: unknown = JSON.parse(text);
    if (typeof config !== 'object' || config === null) throw new Error('It is no object.');
    const unknown = Object.keys(config).filter((name) => !(name in TOY));
    return unknown.length > 0 ? `--config names ${unknown.join(', ')}, which is no setting.` : config;
  } catch (cause) {
    return `--config takes settings as JSON, as in '{"learning_rate":1e-3}'. ${(cause as Error).message}`;
  }
}

/** A run's folder. Its files are whole at any moment: each is written beside the old one and takes its place. */
class RunFolder {
  private constructor(
    private readonly folder: string,
    private readonly lines: string[],
  ) {}

  /** Makes the folder; its log begins with the lines of the run that goes on. */
  static async open(folder: string, lines: readonly string[]): Promise<RunFolder> {
    await mkdir(folder, { recursive: true });
    const run = new RunFolder(folder, [...lines]);
    await run.writeLog();
    return run;
  }

  async step(line: StepMetrics): Promise<void> {
    this.lines.push(JSON.stringify(line));
    await this.writeLog();
  }

  before(accuracy: HeldOutAccuracy): Promise<void> {
    return this.write(BEFORE, `${JSON.stringify(accuracy)}\n`);
  }

  /** All of its files are there before the first takes its place. */
  async checkpoint(files: EncodedFiles): Promise<void> {
    for (const name of CHECKPOINT_FILES) await this.prepare(name, Buffer.from(files[name], 'base64'));
    for (const name of CHECKPOINT_FILES) await this.place(name);
  }

  private writeLog(): Promise<void> {
    return this.write(LOG, this.lines.map((line) => `${line}\n`).join(''));
  }

  private async write(name: string, data: string | Buffer): Promise<void> {
    await this.prepare(name, data);
    await this.place(name);
  }

  private prepare(name: string, data: string | Buffer): Promise<void> {
    return writeFile(join(this.folder, `${name}.part`), data);
  }

  private place(name: string): Promise<void> {
    return rename(join(this.folder, `${name}.part`), join(this.folder, name));
  }
}

/** A run that goes on: its checkpoint, and the log up to there. @throws Error where the folder has no checkpoint. */
async function readRun(folder: string): Promise<{
  files: EncodedFiles;
  step: number;
  lines: string[];
  before: HeldOutAccuracy | undefined;
}> {
  const read = (name: string) => readFile(join(folder, name));
  const entries: [string, string][] = [];
  for (const name of CHECKPOINT_FILES) {
    const bytes = await read(name).catch(() => undefined);
    if (!bytes) throw new Error(`${folder} has no ${name}: there is no checkpoint to go on from.`);
    entries.push([name, bytes.toString('base64')]);
  }
  const { step } = readTrainerState((await read('trainer_state.json')).toString());
  const log = (await read(LOG).catch(() => '')).toString();
  const lines = log
    .split('\n')
    .filter((line) => line !== '')
    .filter((line) => (JSON.parse(line) as StepMetrics).step <= step);
  return {
    files: Object.fromEntries(entries) as EncodedFiles,
    step,
    lines,
    before: await readBefore(join(folder, BEFORE)).catch(() => undefined),
  };
}

/** The check of a model without adapter, as a run's folder keeps it. */
async function readBefore(file: string): Promise<HeldOutAccuracy> {
  return JSON.parse((await readFile(file)).toString()) as HeldOutAccuracy;
}

function describeStep(line: StepMetrics): string {
  const { step, reward, kl = 0, entropy, grad_norm, step_time, self_check_rate } = line;
  const fixed = (value: number | undefined, digits: number) => (value ?? Number.NaN).toFixed(digits);
  return (
    `step ${step}: reward ${fixed(reward, 2)}, accuracy ${fixed(line['rewards/accuracy_reward/mean'], 2)}, ` +
    `checks itself ${fixed(self_check_rate, 2)}, kl ${fixed(kl, 4)}, entropy ${fixed(entropy, 2)}, ` +
    `length ${fixed(line['completions/mean_length'], 0)}, grad norm ${fixed(grad_norm, 2)}, ${fixed(step_time, 1)} s`
  );
}

function describeEval(shares: TrainingEval): string {
  return (
    `sampled ${percent(shares.accuracy_sampled)}, greedy ${percent(shares.accuracy_greedy)}, ` +
    `well-formed ${percent(shares.format_rate)}, checks itself ${percent(shares.self_check_rate)}`
  );
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
