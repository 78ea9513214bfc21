/**
 * `npm run bench -- attention|linear [--all | --small] [--only TEXT] [--browser] [--json]`: kernels against the adapter's
 * ceilings, ONNX Runtime's operators and simpler kernels, in Node where a Vulkan driver is found, else in headless
 * Chromium.
 * `npm run bench -- train [--all | --small] [--long] [--node] [--json]`: what training costs, against counted operations,
 * the memory plan and jax-js; in headless Chromium, or with --node in Node.
 * `npm run bench -- decode [--all | --small] [--layers N] [--node] [--json]`: how fast answers are written, against the whole model in
 * one graph of ONNX Runtime; in headless Chromium, or with --node in Node, where the runtime's own code is compiled by
 * V8's baseline compiler alone.
 * `npm run bench -- full-size [--layers N] [--frames N] [--json]`: the published model's size from a synthetic hub, with
 * what loading, keeping, answering and loading again take; in Node.
 */
import { parseArgs } from 'node:util';
import type { Page } from 'playwright';
import { hasNodeGpu } from '../../scripts/node-gpu.mjs';
import type { BenchReport, Target } from '../bench/report';
import { type BenchListener, type BenchRequest, type BenchSuite, runBench } from './bench/run-bench';
import { runDecode } from './bench/run-decode';
import { runTraining } from './bench/run-training';
import { describeDevice, describeTarget, TABLE_HEAD, tableRow } from './bench/table';
import type { FullSizeRequest } from './full-size/run';

const USAGE =
  'npm run bench -- attention|linear [--all | --small] [--only TEXT] [--browser] [--json]\n' +
  'npm run bench -- train|decode [--all | --small] [--long] [--node] [--json]\n' +
  'npm run bench -- full-size [--layers N] [--frames N] [--json]\n' +
  '  --layers N  of decode and full-size: layers in the place of 36\n' +
  '  --frames N  of full-size: frames that are encoded; default 1\n' +
  "  --all      the published model's shapes, also on a CPU adapter\n" +
  '  --small    smaller shapes, also on a GPU\n' +
  '  --long     of train: 700 rows of prompt and 256 new tokens, also in the smaller shapes\n' +
  '  --only TEXT  of attention and linear: cases with this in their description, such as "decode P=256" or "q4"\n' +
  '  --browser  run in headless Chromium, even where Node has a GPU driver; train and decode do anyway\n' +
  '  --node     run train or decode in Node, which needs a GPU driver\n' +
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
        long: { type: 'boolean' },
        only: { type: 'string' },
        browser: { type: 'boolean', default: false },
        node: { type: 'boolean', default: false },
        layers: { type: 'string' },
        frames: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    });
    const [suite, ...rest] = positionals;
    const inPage = isPageSuite(suite);
    const known =
      suite === 'full-size' || inPage ? !(values.browser && values.node) : isSuite(suite) && !values.node;
    if (!known || rest.length > 0 || (values.all && values.small)) throw new Error(USAGE);
    const shapes = values.all ? 'model' : values.small ? 'small' : undefined;
    const [layers, frames] = [count(values.layers, 36), count(values.frames, 1)];
    if (suite === 'full-size') return await fullSize({ layers, frames }, values.json);
    if ((values.layers && suite !== 'decode') || (values.long && suite !== 'train') || values.frames)
      throw new Error(USAGE);
    if (values.only !== undefined && !isSuite(suite)) throw new Error(USAGE);
    if (inPage)
      return await pageSuite(
        suite,
        { ...(shapes ? { shapes } : {}), ...(values.long ? { long: true } : {}), layers },
        values,
      );
    if (!isSuite(suite)) throw new Error(USAGE);
    request = {
      suite,
      ...(shapes ? { shapes } : {}),
      ...(values.only === undefined ? {} : { only: values.only }),
    };
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

/** What is measured in a page, unless it is asked for in Node. */
type PageSuite = 'train' | 'decode';

/** What such a measurement gives. */
interface Bench {
  report: object;
  targets: readonly Target[];
}

/** Measures what training or decoding costs. Returns the exit code. */
async function pageSuite(
  suite: PageSuite,
  request: { shapes?: 'model' | 'small'; long?: boolean; layers: number },
  { node, json }: { node?: boolean; json?: boolean },
): Promise<number> {
  try {
    if (node && !(await hasNodeGpu())) throw new Error('Node finds no GPU driver here; leave out --node.');
    console.log(`Running in ${node ? 'Node' : 'headless Chromium'}.`);
    const onLine = (line: string) => console.log(line);
    const run = suite === 'train' ? runTraining : runDecode;
    const { report, targets }: Bench = await (node
      ? run(request, onLine)
      : withBenchPage(async (page): Promise<Bench> => {
          await page.exposeFunction('reportBenchLine', onLine);
          return suite === 'train'
            ? page.evaluate((given) => window.benchTraining(given), request)
            : page.evaluate((given) => window.benchDecode(given), request);
        }));
    for (const target of targets) console.log(describeTarget(target));
    if (json) console.log(JSON.stringify(report));
    return 0;
  } catch (cause) {
    console.error(cause instanceof Error ? cause.message : String(cause));
    return 1;
  }
}

/** Runs the published model's size. Returns the exit code. */
async function fullSize(request: FullSizeRequest, json: boolean): Promise<number> {
  try {
    if (!(await hasNodeGpu())) throw new Error('Node finds no GPU driver here.');
    // It runs a hub from its sources, which a bundle has not.
    const { runFullSize } = await import('./full-size/run');
    const report = await runFullSize(request, (line) => console.log(line));
    for (const problem of report.problems) console.error(problem);
    if (json) console.log(JSON.stringify(report));
    return report.problems.length > 0 ? 1 : 0;
  } catch (cause) {
    console.error(cause instanceof Error ? cause.message : String(cause));
    return 1;
  }
}

/** A whole number from 1 on. @throws Error with the usage. */
function count(text: string | undefined, otherwise: number): number {
  const value = Number(text ?? otherwise);
  if (!Number.isInteger(value) || value < 1) throw new Error(USAGE);
  return value;
}

function isPageSuite(name: string | undefined): name is PageSuite {
  return name === 'train' || name === 'decode';
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
