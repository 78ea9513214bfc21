// `npm test`: format and lint, types, unit tests, GPU tests (Chromium, and some of them in Node where a driver is
// found), the build, and the tests of the built page. Ends with the line "N passed, N failed".
// Two steps at a time: a CPU adapter keeps one core busy, hardly two.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { ensureChromium } from './ensure-chromium.mjs';
import { findVulkanDriver } from './node-gpu.mjs';

// The GPU tests that Node repeats through Dawn: what differs there (the runtime's other build, memory, kernels' compiler).
// `npm run test:gpu-node` repeats them all, verification of the recorded stages included. Of attention here the shared
// prefixes, extreme scores, and what a plan or a shape may not be.
const NODE_TOO = ['ort', 'attention', 'recorder', 'weights'].map((name) => `tests/gpu/${name}.test.ts`);
const NODE_CASES = 'OrtRuntime|the gpu room|loadWeights|values of prefix|1e4|a plan';

/** Of the built page; the one after it is used as well. */
const PORT = Number(process.env.E2E_PORT ?? 4173);

const start = performance.now();
const results = await mkdtemp(join(tmpdir(), 'playground-tests-'));
const total = { passed: 0, failed: 0 };
const summary = [];
const troubles = [];

const environment = { ...process.env, CHROMIUM_PATH: ensureChromium() };
const driver = findVulkanDriver();
if (!driver) console.log('No Vulkan driver found for Node: the GPU tests run in Chromium alone.');

// Two lanes; what is left over goes to the one that is free first, the longest of it before the rest.
let tellBuilt;
const built = new Promise((resolve) => {
  tellBuilt = resolve;
});
const rest = [
  async () => {
    if (await built) await playwright('page (states)', 'states', PORT + 1);
  },
  () => vitest('browser (Chromium)', ['--project', 'browser']),
  ...(driver ? [() => vitest('gpu (Node)', ['--project', 'gpu-node', ...NODE_TOO, '-t', NODE_CASES])] : []),
];
await Promise.all([
  (async () => {
    await vitest('gpu (Chromium)', ['--project', 'gpu']);
    await takeRest();
  })(),
  (async () => {
    await step('lint', 'npx', ['biome', 'check', '.']);
    await step('types', 'npx', ['tsc', '--noEmit']);
    await vitest('unit', ['--project', 'unit']);
    const there = await step('build', 'npx', ['vite', 'build', '--logLevel', 'warn']);
    tellBuilt(there);
    if (there) {
      await step('size and kinds of files', 'node', ['scripts/check-dist.mjs']);
      await playwright('page (engine)', 'engine', PORT);
    }
    await takeRest();
  })(),
]);
await rm(results, { recursive: true });

if (troubles.length > 0) console.log(`\n${troubles.join('\n')}`);
console.log(`\n${summary.join('\n')}`);
console.log(`${((performance.now() - start) / 60_000).toFixed(1)} minutes`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exit(total.failed > 0 ? 1 : 0);

async function takeRest() {
  for (let next = rest.shift(); next; next = rest.shift()) await next();
}

/** A step that passes or fails as a whole. */
async function step(name, command, args) {
  const { ok, seconds } = await run(name, command, args);
  count(name, seconds, ok ? 1 : 0, ok ? 0 : 1);
  return ok;
}

async function vitest(name, args) {
  const file = join(results, `${name}.json`);
  const json = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const { ok, seconds } = await run(name, 'npx', ['vitest', 'run', ...args, ...json]);
  const report = await readJson(file);
  const passed = report?.numPassedTests ?? 0;
  // A file that fails outside its tests, or a run without tests, counts as a failure too.
  const failed = Math.max(report?.numFailedTests ?? 0, !ok || passed === 0 ? 1 : 0);
  count(name, seconds, passed, failed, report?.numPendingTests);
  for (const { name: path, message, assertionResults } of report?.testResults ?? []) {
    const tests = assertionResults.filter(({ status }) => status === 'failed');
    for (const test of tests)
      remember('failed', `${relative(process.cwd(), path)}: ${test.fullName}`, test.failureMessages[0]);
    if (tests.length === 0 && message) remember('failed', relative(process.cwd(), path), message);
  }
}

/** The tests of one of Playwright's projects, with a port and a folder of its own: two may run at once. */
async function playwright(name, project, port) {
  const file = join(results, `${name}.json`);
  const output = `--output=test-results/${project}`;
  const command = ['playwright', 'test', `--project=${project}`, output, '--reporter=list,json'];
  const { ok, seconds } = await run(name, 'npx', command, {
    PLAYWRIGHT_JSON_OUTPUT_NAME: file,
    E2E_PORT: String(port),
  });
  const report = await readJson(file);
  const stats = report?.stats;
  const passed = (stats?.expected ?? 0) + (stats?.flaky ?? 0);
  const failed = Math.max(stats?.unexpected ?? 0, !ok || passed === 0 ? 1 : 0);
  count(name, seconds, passed, failed, stats?.skipped);
  for (const { file: path, title, tests } of (report?.suites ?? []).flatMap(specs)) {
    const bad = tests.find(({ status }) => status === 'unexpected' || status === 'flaky');
    if (!bad) continue;
    const error = bad.results.find((result) => result.error)?.error;
    remember(bad.status === 'flaky' ? 'passed when repeated' : 'failed', `${path}: ${title}`, error?.message);
  }
}

/** The tests of one of Playwright's suites and of the suites in it. */
function specs(suite) {
  return [...(suite.specs ?? []), ...(suite.suites ?? []).flatMap(specs)];
}

/** Keeps what went wrong for the end of the output, where it is found. */
function remember(how, test, message = '') {
  const text = stripVTControlCharacters(message).split('\n').slice(0, 12).join('\n    ');
  troubles.push(`${how}: ${test}\n    ${text}`);
}

function count(name, seconds, passed, failed, skipped = 0) {
  total.passed += passed;
  total.failed += failed;
  summary.push(
    `${name}: ${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''} (${seconds.toFixed(0)} s)`,
  );
}

async function readJson(file) {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Runs a command. What it prints is shown when it ends, so that two that run together do not mix. */
function run(name, command, args, extra = {}) {
  const begin = performance.now();
  console.log(`${name} ...`);
  return new Promise((resolve) => {
    const output = [];
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...environment, ...extra },
    });
    child.stdout.on('data', (data) => output.push(data));
    child.stderr.on('data', (data) => output.push(data));
    const finish = (ok) => {
      console.log(`\n== ${name}\n${Buffer.concat(output).toString().trim()}`);
      resolve({ ok, seconds: (performance.now() - begin) / 1000 });
    };
    child.on('error', (error) => {
      output.push(Buffer.from(error.message));
      finish(false);
    });
    child.on('close', (code) => finish(code === 0));
  });
}
