/**
 * `npm run train -- [--preset toy] [--model toy-base|URL] [--steps N] [--seed S] [--eval-questions N] [--json]`: GRPO with
 * LoRA on the toy world, in headless Chromium, by the engine of the page. Prints one line a step.
 */
import { parseArgs } from 'node:util';
import type { StepMetrics } from '../grpo/step-metrics';
import { withEnginePage } from './engine-page';
import type { TrainingEval, TrainingRequest } from './train/page';

/** Runs the command with its arguments; returns the exit code. */
export async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      preset: { type: 'string', default: 'toy' },
      model: { type: 'string', default: 'toy-base' },
      steps: { type: 'string', default: '60' },
      seed: { type: 'string', default: '1' },
      'eval-questions': { type: 'string', default: '512' },
      json: { type: 'boolean', default: false },
    },
  });
  if (values.preset !== 'toy') {
    console.error(`There is no preset "${values.preset}"; the only one so far is "toy".`);
    return 2;
  }
  const [steps, seed, evalQuestions] = [values.steps, values.seed, values['eval-questions']].map(Number);
  for (const [name, value] of Object.entries({ steps, seed, 'eval-questions': evalQuestions })) {
    if (!Number.isInteger(value) || value! < 1) {
      console.error(`--${name} takes a whole number from 1 on.`);
      return 2;
    }
  }
  return withEnginePage('src/cli/train/page.html', async (page, origin) => {
    await page.exposeFunction('reportStep', (line: StepMetrics) =>
      console.log(values.json ? JSON.stringify(line) : describeStep(line)),
    );
    const request: TrainingRequest = {
      modelUrl: /^https?:/.test(values.model) ? values.model : `${origin}models/${values.model}/`,
      steps: steps!,
      seed: seed!,
      evalQuestions: evalQuestions!,
      config: {},
    };
    await page.waitForFunction('typeof window.trainModel === "function"');
    const report = await page.evaluate((given) => window.trainModel(given), request);
    if (!values.json) {
      console.log(`before: ${describeEval(report.eval_before)}`);
      console.log(`after:  ${describeEval(report.eval_after)}`);
    }
    console.log(JSON.stringify(report));
    return 0;
  });
}

function describeStep(line: StepMetrics): string {
  const digits = (key: string, count: number) => (line[key] ?? 0).toFixed(count);
  return (
    `step ${line.step}: reward ${digits('reward', 2)}, accuracy ${digits('rewards/accuracy_reward/mean', 2)}, ` +
    `checks itself ${digits('self_check_rate', 2)}, kl ${digits('kl', 4)}, entropy ${digits('entropy', 2)}, ` +
    `length ${digits('completions/mean_length', 0)}, grad norm ${digits('grad_norm', 2)}, ` +
    `${digits('step_time', 1)} s`
  );
}

function describeEval(shares: TrainingEval): string {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  return (
    `sampled ${percent(shares.accuracy_sampled)}, greedy ${percent(shares.accuracy_greedy)}, ` +
    `well-formed ${percent(shares.format_rate)}, checks itself ${percent(shares.self_check_rate)}`
  );
}
