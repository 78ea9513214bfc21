/**
 * `npm run verify -- --checkpoint DIR --reference DIR [--weights FILE] [--backend NAME] [--browser] [--json]`: the port against
 * recorded values of the original, in Node where a Vulkan driver is found, else in headless Chromium.
 */
import { parseArgs } from 'node:util';
import { hasNodeGpu } from '../../scripts/node-gpu.mjs';
import type { BlockBackend } from '../blocks/block-runtimes';
import { openGpu } from '../gpu/device';
import { directoryStore } from './directory-store';
import type { StageResult, VerifyReport } from './verify/report';
import { runVerify } from './verify/run';
import { TABLE_HEAD, tableRow } from './verify/table';

const USAGE =
  'npm run verify -- --checkpoint DIR --reference DIR [--weights FILE] [--backend NAME] [--browser] [--json]\n' +
  '  --checkpoint  folder with config.json, safetensors and tokenizer files\n' +
  '  --reference   folder with recorded values (vision.safetensors, lm.safetensors, ...)\n' +
  '  --weights     a weight file of the checkpoint folder other than its own\n' +
  '  --backend     dense blocks in ort, wgsl, or auto: what the page would choose (default)\n' +
  '  --browser     run in headless Chromium, even where Node has a GPU driver\n' +
  '  --json        print the result as JSON, on the last line';

interface Options {
  checkpoint: string;
  reference: string;
  weights: string | undefined;
  backend: BlockBackend;
  onStage: (stage: StageResult) => void;
  onNote: (note: string) => void;
}

/** Runs the command with its arguments; returns the exit code: 0, 1 beyond tolerance or on errors, 2 on wrong usage. */
export async function main(args: string[]): Promise<number> {
  let values: { [name: string]: string | boolean | undefined };
  try {
    ({ values } = parseArgs({
      args,
      options: {
        checkpoint: { type: 'string' },
        reference: { type: 'string' },
        weights: { type: 'string' },
        backend: { type: 'string', default: 'auto' },
        browser: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    }));
  } catch (cause) {
    console.error(`${cause instanceof Error ? cause.message : String(cause)}\n${USAGE}`);
    return 2;
  }
  const { checkpoint, reference, weights, backend } = values as { [name: string]: string | undefined };
  if (!checkpoint || !reference || !isBackend(backend)) {
    console.error(USAGE);
    return 2;
  }
  const options: Options = {
    checkpoint,
    reference,
    weights,
    backend,
    onStage: (stage) => console.log(tableRow(stage)),
    onNote: (note) => console.log(`  ${note}`),
  };
  let report: VerifyReport;
  try {
    const inNode = !values.browser && (await hasNodeGpu());
    console.log(`Running in ${inNode ? 'Node' : 'headless Chromium'}.\n${TABLE_HEAD}`);
    report = await (inNode ? runInNode(options) : runInBrowser(options));
  } catch (cause) {
    console.error(cause instanceof Error ? cause.message : String(cause));
    return 1;
  }
  const wrong = report.stages.filter((stage) => !stage.ok).map((stage) => stage.name);
  console.log(
    report.ok
      ? `All ${report.stages.length} stages are within tolerance.`
      : `Beyond tolerance: ${wrong.join(', ') || 'no stage could be compared'}.`,
  );
  if (values.json) console.log(JSON.stringify(report));
  return report.ok ? 0 : 1;
}

function isBackend(name: string | undefined): name is BlockBackend {
  return name === 'auto' || name === 'ort' || name === 'wgsl';
}

async function runInNode({ checkpoint, reference, weights, ...rest }: Options): Promise<VerifyReport> {
  const gpu = await openGpu();
  try {
    return await runVerify({
      gpu,
      checkpoint: directoryStore(checkpoint),
      reference: directoryStore(reference),
      ...(weights === undefined ? {} : { weights }),
      ...rest,
    });
  } finally {
    gpu.close();
  }
}

async function runInBrowser({
  checkpoint,
  reference,
  weights,
  backend,
  ...events
}: Options): Promise<VerifyReport> {
  // A bundle has no browser, so what drives one is loaded here.
  const { withEnginePage } = await import('./engine-page');
  return withEnginePage(
    'src/cli/verify/page.html',
    async (page, origin) => {
      await page.exposeFunction('reportStage', events.onStage);
      await page.exposeFunction('reportNote', events.onNote);
      await page.waitForFunction('typeof window.verifyModel === "function"');
      return page.evaluate((given) => window.verifyModel(given), {
        checkpoint: `${origin}verify-checkpoint/`,
        reference: `${origin}verify-reference/`,
        weights,
        backend,
      });
    },
    { 'verify-checkpoint': checkpoint, 'verify-reference': reference },
  );
}
