/**
 * `npm run bench -- attention|linear [--all | --small] [--browser] [--json]`: kernels against the adapter's ceilings,
 * ONNX Runtime's operators and simpler kernels, in Node where a Vulkan driver is found, else in headless Chromium.
 * `npm run bench -- train [--all | --small] [--node] [--json]`: what training costs, against counted operations, the
 * memory plan and jax-js; in headless Chromium, or with --node in Node.
 */
import { parseArgs } from 'node:util';
import type { Page } from 'playwright';
import { hasNodeGpu } from '../../scripts/node-gpu.mjs';
import type { BenchReport } from '../bench/report';
import { type BenchListener, type BenchRequest, type BenchSuite, runBench } from './bench/run-bench';
import { runTraining, type TrainingRequest } from './bench/run-training';
import { describeDevice, describeTarget, TABLE_HEAD, tableRow } from './bench/table';

const USAGE =
  'npm run bench -- attention|linear [--all | --small] [--browser] [--json]\n' +
  'npm run bench -- train [--all | --small] [--node] [--json]\n' +
  "  --all      the published model's shapes, also on a CPU adapter\n" +
  '  --small    smaller shapes, also on a GPU\n' +
  '  --browser  run in headless Chromium, even where Node has a GPU driver; train does so anyway\n' +
  '  --node     run train in Node, which needs a GPU driver\n' +
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
        node: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
    const [suite, ...rest] = positionals;
    const known = suite === 'train' ? !(values.browser && values.node) : isSuite(suite) && !values.node;
    if (!known || rest.length > 0 || (values.all && values.small)) throw new Error(USAGE);
    const shapes = values.all ? 'model' : values.small ? 'small' : undefined;
    if (!isSuite(suite)) return await trainingCommand(shapes ? { shapes } : {}, values);
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

/** Measures what training costs. Returns the exit code. */
async function trainingCommand(
  request: TrainingRequest,
  { node, json }: { node?: boolean; json?: boolean },
): Promise<number> {
  try {
    if (node && !(await hasNodeGpu())) throw new Error('Node finds no GPU driver here; leave out --node.');
    console.log(`Running in ${node ? 'Node' : 'headless Chromium'}.`);
    const onLine = (line: string) => console.log(line);
    const { report, targets } = await (node
      ? runTraining(request, onLine)
      : withBenchPage(async (page) => {
          await page.exposeFunction('reportBenchLine', onLine);
          return page.evaluate((given) => window.benchTraining(given), request);
        }));
    for (const target of targets) console.log(describeTarget(target));
    if (json) console.log(JSON.stringify(report));
    return 0;
  } catch (cause) {
    console.error(cause instanceof Error ? cause.message : String(cause));
    return 1;
  }
}

function isSuite(name: string | undefined): name is BenchSuite {
  return name === 'attention' || name === 'linear';
}

function runInBrowser(request: BenchRequest, listener: BenchListener): Promise<BenchReport> {
  return withBenchPage(async (page) => {
    await page.exposeFunction('reportDevice', listener.onDevice);
    await page.exposeFunction('reportCase', listener.onCase);
    return page.evaluate((given) => window.benchKernels(given), request);
  });
}

async function withBenchPage<T>(use: (page: Page) => Promise<T>): Promise<T> {
  // A bundle has no browser, so what drives one is loaded here.
  const { withEnginePage } = await import('./engine-page');
  return withEnginePage('src/cli/bench/page.html', async (page) => {
    await page.waitForFunction('typeof window.benchKernels === "function"');
    return use(page);
  });
}
