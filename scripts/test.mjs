// `npm test`: format and lint, types, unit tests, GPU tests (Chromium, and Node where a driver is found),
// the build, and the tests of the built page. Ends with the line "N passed, N failed".
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureChromium } from './ensure-chromium.mjs';
import { findVulkanDriver } from './node-gpu.mjs';

const results = await mkdtemp(join(tmpdir(), 'playground-tests-'));
const total = { passed: 0, failed: 0, skipped: 0 };
const summary = [];

const environment = { ...process.env, CHROMIUM_PATH: ensureChromium() };
const driver = findVulkanDriver();
if (!driver) console.log('No Vulkan driver found for Node: the GPU tests run in Chromium alone.');

await step('lint', 'npx', ['biome', 'check', '.']);
await step('types', 'npx', ['tsc', '--noEmit']);
await tests('unit', ['--project', 'unit']);
await tests('gpu (Chromium)', ['--project', 'gpu']);
if (driver) await tests('gpu (Node)', ['--project', 'gpu-node']);
if (await step('build', 'npx', ['vite', 'build', '--logLevel', 'warn'])) {
  await step('size and kinds of files', 'node', ['scripts/check-dist.mjs']);
  await endToEnd();
}
await rm(results, { recursive: true });

for (const line of summary) console.log(line);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exit(total.failed > 0 ? 1 : 0);

/** A step that passes or fails as a whole. */
async function step(name, command, args) {
  const seconds = clock();
  const ok = (await run(command, args)) === 0;
  count(name, { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 }, seconds());
  return ok;
}

async function tests(name, args) {
  const seconds = clock();
  const file = join(results, 'vitest.json');
  await rm(file, { force: true });
  const code = await run('npx', [
    'vitest',
    'run',
    ...args,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${file}`,
  ]);
  const report = await readJson(file);
  const passed = report?.numPassedTests ?? 0;
  // A file that fails outside its tests, or a run without tests, counts as a failure too.
  const failed = Math.max(report?.numFailedTests ?? 0, code !== 0 || passed === 0 ? 1 : 0);
  count(name, { passed, failed, skipped: report?.numPendingTests ?? 0 }, seconds());
}

async function endToEnd() {
  const seconds = clock();
  const file = join(results, 'playwright.json');
  const code = await run('npx', ['playwright', 'test', '--reporter=list,json'], {
    PLAYWRIGHT_JSON_OUTPUT_NAME: file,
  });
  const stats = (await readJson(file))?.stats;
  const passed = (stats?.expected ?? 0) + (stats?.flaky ?? 0);
  const failed = Math.max(stats?.unexpected ?? 0, code !== 0 || passed === 0 ? 1 : 0);
  count('page (Playwright)', { passed, failed, skipped: stats?.skipped ?? 0 }, seconds());
}

function count(name, { passed, failed, skipped }, seconds) {
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
  summary.push(
    `${name}: ${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''} (${seconds} s)`,
  );
}

function clock() {
  const start = performance.now();
  return () => ((performance.now() - start) / 1000).toFixed(0);
}

async function readJson(file) {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch {
    return undefined;
  }
}

function run(command, args, extra = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...environment, ...extra },
    });
    child.on('error', () => resolve(1));
    child.on('close', (code) => resolve(code ?? 1));
  });
}
