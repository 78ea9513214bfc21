/**
 * `npm run bench -- attention|linear [--all | --small] [--browser] [--json]`: kernels against the adapter's ceilings,
 * ONNX Runtime's operators and simpler kernels, in Node where a Vulkan driver is found, else in headless Chromium.
 */
import { parseArgs } from 'node:util';
import { hasNodeGpu } from '../../scripts/node-gpu.mjs';
import type { BenchReport } from '../bench/report';
import { type BenchListener, type BenchRequest, type BenchSuite, runBench } from './bench/run-bench';
import { describeDevice, describeTarget, TABLE_HEAD, tableRow } from './bench/table';

const USAGE =
  'npm run bench -- attention|linear [--all | --small] [--browser] [--json]\n' +
  "  --all      the published model's shapes, also on a CPU adapter\n" +
  '  --small    smaller shapes, also on a GPU\n' +
  '  --browser  run in headless Chromium, even where Node has a GPU driver\n' +
  '  --json     print the result as JSON, on the last line';

/** Runs the command with its arguments; returns the exit code: 0, 1 on errors, 2 on wrong usage. */
export async function main(args: string[]): Promise<number> {
  let request: BenchRequest;
  let flags: { browser?: boolean; json?: boolean };
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        all: { type: 'boolean' },
        small: { type: 'boolean' },
        browser: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
    const [suite, ...rest] = positionals;
    if (!isSuite(suite) || rest.length > 0 || (values.all && values.small)) throw new Error(USAGE);
    const shapes = values.all ? 'model' : values.small ? 'small' : undefined;
    request = { suite, ...(shapes ? { shapes } : {}) };
    flags = values;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    console.error(message === USAGE ? USAGE : `${message}\n${USAGE}`);
    return 2;
  }
  const listener: BenchListener = {
    onDevice: (device) => console.log(`${describeDevice(device)}\n${TABLE_HEAD}`),
    onCase: (result) => console.log(tableRow(result)),
  };
  let report: BenchReport;
  try {
    const inNode = !flags.browser && (await hasNodeGpu());
    console.log(`Running in ${inNode ? 'Node' : 'headless Chromium'}.`);
    report = await (inNode ? runBench(request, listener) : runInBrowser(request, listener));
  } catch (cause) {
    console.error(cause instanceof Error ? cause.message : String(cause));
    return 1;
  }
  console.log('Ratios above 1: ours is faster. A runtime ratio with ! is of wrong values.');
  for (const target of report.targets) console.log(describeTarget(target));
  if (flags.json) console.log(JSON.stringify(report));
  return 0;
}

function isSuite(name: string | undefined): name is BenchSuite {
  return name === 'attention' || name === 'linear';
}

async function runInBrowser(request: BenchRequest, listener: BenchListener): Promise<BenchReport> {
  // A bundle has no browser, so what drives one is loaded here.
  const { withEnginePage } = await import('./engine-page');
  return withEnginePage('src/cli/bench/page.html', async (page) => {
    await page.exposeFunction('reportDevice', listener.onDevice);
    await page.exposeFunction('reportCase', listener.onCase);
    await page.waitForFunction('typeof window.benchKernels === "function"');
    return page.evaluate((given) => window.benchKernels(given), request);
  });
}
