/**
 * `npm run evaluate -- [--model toy|URL] [--questions N] [--seed S] [--json]`: accuracy on held-out clips of the toy
 * world, in headless Chromium, through the page's own path (H.264 file, WebCodecs, worker, WebGPU).
 */
import { parseArgs } from 'node:util';
import { withEnginePage } from './engine-page';
import type { EvaluationRequest } from './evaluate/page';
import { type EvaluationReport, type Outcome, summarise } from './evaluate/score';

/** Runs the command with its arguments; returns the exit code. */
export async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      model: { type: 'string', default: 'toy' },
      questions: { type: 'string', default: '128' },
      seed: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
    },
  });
  const questions = Number(values.questions);
  if (!Number.isInteger(questions) || questions < 1) {
    console.error(`--questions takes a whole number from 1 on, not "${values.questions}".`);
    return 2;
  }
  return withEnginePage('src/cli/evaluate/page.html', async (page, origin) => {
    await page.exposeFunction('reportProgress', (done: number, total: number, outcome: Outcome) => {
      if (!values.json)
        console.log(
          `${done} of ${total} (${outcome.family}): greedy ${mark(outcome.greedy)}, sampled ${mark(outcome.sampled)}`,
        );
    });
    const isUrl = /^https?:/.test(values.model);
    const request: EvaluationRequest = {
      modelUrl: isUrl ? values.model : `${origin}models/${values.model}/`,
      modelName: values.model,
      questions,
      seed: Number(values.seed),
    };
    await page.waitForFunction('typeof window.evaluateModel === "function"');
    const outcomes = await page.evaluate((given) => window.evaluateModel(given), request);
    const report = summarise(values.model, outcomes);
    if (!values.json) print(report);
    console.log(JSON.stringify(report));
    return 0;
  });
}

function mark(correct: boolean): string {
  return correct ? 'right' : 'wrong';
}

function print(report: EvaluationReport): void {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  console.log(`\n${report.model}, ${report.questions} held-out questions`);
  console.log(`accuracy, greedy         ${percent(report.accuracy_greedy)}`);
  console.log(`accuracy, sampled        ${percent(report.accuracy_sampled)}`);
  console.log(`accuracy, black frames   ${percent(report.accuracy_blank_frames)}`);
  console.log(`well-formed              ${percent(report.format_rate)}`);
  for (const [family, { questions, accuracy_greedy }] of Object.entries(report.families)) {
    console.log(`  ${family.padEnd(10)} ${percent(accuracy_greedy).padStart(8)}  (n = ${questions})`);
  }
}
