/**
 * `npm run record-answers -- [--seeds N]`: asks the toy model about the sample clips, through the real engine in
 * headless Chromium, and writes the answers to public/samples/recorded.json, which the page plays where no model can
 * run. Each clip's first question once, one of them four times, and one answer with an aha moment.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { withEnginePage } from './engine-page';
import type { RecordRequest } from './record-answers/page';

const FILE = 'public/samples/recorded.json';
const MAX_BYTES = 400_000;

/** Runs the command with its arguments; returns the exit code. */
export async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { seeds: { type: 'string', default: '32' } } });
  const seeds = Number(values.seeds);
  if (!Number.isInteger(seeds) || seeds < 0) {
    console.error(`--seeds takes a whole number, not "${values.seeds}".`);
    return 2;
  }
  return withEnginePage('src/cli/record-answers/page.html', async (page, origin) => {
    await page.exposeFunction('reportRecording', (line: string) => console.log(line));
    const request: RecordRequest = {
      modelUrl: `${origin}models/toy/`,
      modelName: 'Toy model',
      samplesUrl: `${origin}samples/`,
      seeds,
    };
    await page.waitForFunction('typeof window.recordAnswers === "function"');
    const documents = await page.evaluate((given) => window.recordAnswers(given), request);
    const text = `[\n${documents.map((document) => JSON.stringify(document)).join(',\n')}\n]\n`;
    if (text.length > MAX_BYTES)
      throw new Error(`${FILE} would have ${text.length} bytes, more than ${MAX_BYTES}.`);
    writeFileSync(FILE, text);
    console.log(`${documents.length} recordings, ${text.length} bytes, in ${FILE}`);
    return 0;
  });
}
