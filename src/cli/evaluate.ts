/**
 * `npm run evaluate -- [--model toy|OWNER/NAME|URL] [--questions N] [--seed S] [--json]`: accuracy on held-out clips of the toy
 * world, in headless Chromium, through the page's own path (H.264 file, WebCodecs, worker, WebGPU).
 * With `--compare-precision [--precisions f32,f16,q8,q4,mixed]`: accuracy in each precision, and the divergence of its
 * next-token distributions from those of the first.
 */
import { parseArgs } from 'node:util';
import { withEnginePage } from './engine-page';
import type { EvaluationRequest } from './evaluate/page';
import { NAMED_PRECISIONS, precisionTable } from './evaluate/precision-table';
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
      'compare-precision': { type: 'boolean', default: false },
      precisions: { type: 'string', default: Object.keys(NAMED_PRECISIONS).join() },
    },
  });
  const questions = Number(values.questions);
  if (!Number.isInteger(questions) || questions < 1) {
    console.error(`--questions takes a whole number from 1 on, not "${values.questions}".`);
    return 2;
  }
  const names = values.precisions.split(',');
  const unknown = names.find((name) => !Object.hasOwn(NAMED_PRECISIONS, name));
  if (unknown !== undefined) {
    console.error(`--precisions knows ${Object.keys(NAMED_PRECISIONS).join(', ')}, not "${unknown}".`);
    return 2;
  }
  return withEnginePage('src/cli/evaluate/page.html', async (page, origin) => {
    await page.exposeFunction('reportProgress', (done: number, total: number, outcome: Outcome) => {
      if (!values.json)
        console.log(
          `${done} of ${total} (${outcome.family}): greedy ${mark(outcome.greedy)}, sampled ${mark(outcome.sampled)}`,
        );
    });
    const modelUrl = addressOf(values.model, origin);
    const seed = Number(values.seed);
    await page.waitForFunction('typeof window.evaluateModel === "function"');
    if (values['compare-precision']) {
      await page.exposeFunction('reportLine', (line: string) => {
        if (!values.json) console.log(line);
      });
      const precisions = names.map((name) => ({ name, precision: NAMED_PRECISIONS[name]! }));
      const outcomes = await page.evaluate((given) => window.comparePrecisions(given), {
        modelUrl,
        questions,
        seed,
        precisions,
      });
      if (!values.json) console.log(`\n${precisionTable(outcomes).join('\n')}`);
      console.log(JSON.stringify({ model: values.model, questions, precisions: outcomes }));
      return 0;
    }
    const request: EvaluationRequest = { modelUrl, modelName: values.model, questions, seed };
    const outcomes = await page.evaluate((given) => window.evaluateModel(given), request);
    const report = summarise(values.model, outcomes);
    if (!values.json) print(report);
    console.log(JSON.stringify(report));
    return 0;
  });
}

/** The address of a model: of a repository of the hub, of any folder, or of one that ships with the page. */
function addressOf(model: string, origin: string): string {
  if (/^https?:/.test(model)) return model;
  return model.includes('/') ? `https://huggingface.co/${model}/resolve/main/` : `${origin}models/${model}/`;
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
