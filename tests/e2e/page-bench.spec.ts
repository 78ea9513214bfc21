import { readFile } from 'node:fs/promises';
import { expect, type Page, test } from '@playwright/test';
import type {
  BenchCase,
  BenchDevice,
  BenchEvent,
  LinearCase,
  SelfTestReport,
} from '../../src/worker/bench-protocol';
import { installFakeEngine, loadFakeModel } from './page-fake-engine';

// States of the Bench page: the test plays the engine's part.

const REPORT: SelfTestReport = {
  checks: [
    { name: 'linear layers f32', variant: 'tiles, subgroups', max_error: 3e-7, tolerance: 1e-5, ok: true },
    { name: 'attention 4 x 32, shared prefix', variant: 'tiles', max_error: 0, tolerance: 1e-5, ok: true },
  ],
  off: [],
  ms: 84,
  remembered: false,
};

const DEVICE: BenchDevice = {
  vendor: 'test',
  architecture: 'fake',
  description: '',
  isFallback: false,
  features: [],
  limits: {
    maxBufferSize: 2 ** 30,
    maxStorageBufferBindingSize: 2 ** 27,
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeInvocationsPerWorkgroup: 256,
    maxStorageBuffersPerShaderStage: 8,
  },
  f16: true,
  subgroups: true,
  copy_gbps: 200,
  f32_gflops: 5000,
  f16_gflops: 9000,
  clock: 'gpu',
};

const NOTHING = { vs_runtime: null, vs_copied_prefix: null, vs_unfused: null, runtime_values_ok: null };
const DECODE: BenchCase = {
  ...NOTHING,
  kernel: 'decode',
  shape: 'P=700 G=8 R=256 Hq=16 Hkv=2 D=128',
  dtype: 'f32',
  ms: 0.0355,
  gflops: 1200,
  gbps: 80,
  roofline_share: 0.4,
  vs_runtime: 3.1,
  vs_copied_prefix: 2.4,
  runtime_values_ok: false,
};
const LINEAR: LinearCase = {
  ...NOTHING,
  kernel: 'linear',
  shape: '8 x 2048 x 2048',
  dtype: 'f32',
  ms: 2.24,
  gflops: 600,
  gbps: 150,
  roofline_share: 0.75,
  rows: 8,
  k: 2048,
  n: 2048,
  weights: 'q4',
  pass: 'forward',
};

async function tell(page: Page, ...events: (BenchEvent | { type: 'error'; id: number; error: object })[]) {
  await page.evaluate((list) => {
    const { fakeEngine } = window as unknown as { fakeEngine: { onmessage(event: { data: unknown }): void } };
    for (const data of list) fakeEngine.onmessage({ data });
  }, events);
}

/** Id of the last request of a type; 0 of one that has none, -1 where there is no request. */
async function asked(page: Page, type: string): Promise<number> {
  return page.evaluate((wanted) => {
    const { fakeRequests } = window as unknown as { fakeRequests: { type: string; id?: number }[] };
    const request = fakeRequests.findLast((candidate) => candidate.type === wanted);
    return request ? (request.id ?? 0) : -1;
  }, type);
}

test('measures, stops, tests and reports', async ({ page }) => {
  await installFakeEngine(page);
  await page.goto('./#bench');
  await expect(page.getByRole('heading', { name: 'Kernels' })).toBeVisible();
  await expect(page.getByText('The model is not loaded yet.')).toBeVisible();
  await expect(page.getByRole('button', { name: /Measure/ })).toBeDisabled();

  await loadFakeModel(page);
  await tell(
    page,
    { type: 'self-test', report: REPORT },
    {
      type: 'backends',
      choices: [
        {
          graph: 'siglip block 72 x 18',
          rows: null,
          backend: 'wgsl',
          why: 'Set in the address of the page.',
        },
        {
          graph: 'qwen2 block 8 x 4',
          rows: 16,
          backend: 'ort',
          why: 'Measured here.',
          ort_ms: 1,
          wgsl_ms: 2,
        },
      ],
    },
  );
  const selfTest = page.getByTestId('self-test');
  await expect(selfTest.getByText('2 of 2 passed')).toBeVisible();
  await expect(selfTest.getByText('exact')).toBeVisible();
  await expect(page.getByText('up to 16 rows')).toBeVisible();

  // On a GPU the published model's shapes are what is measured.
  await expect(page.getByRole('radio', { name: '3.6 B shapes' })).toBeChecked();
  await page.keyboard.press('b');
  const id = await asked(page, 'bench');
  await expect(page.getByTestId('bench')).toHaveAttribute('data-status', 'running');
  await tell(
    page,
    { type: 'bench-device', id, device: DEVICE },
    { type: 'bench-progress', id, label: 'decode', done: 0.25, total: 1 },
    { type: 'bench-case', id, result: DECODE },
    // Of a measurement before this one.
    { type: 'bench-case', id: id - 1, result: LINEAR },
  );
  await expect(page.getByText('decode, 25 %')).toBeVisible();
  const table = page.getByTestId('bench-cases');
  await expect(table.locator('tbody tr')).toHaveCount(2);
  await expect(table.getByText('35.5 µs')).toBeVisible();
  await expect(table.getByText('3.10 ×')).toBeVisible();
  await expect(table.getByText('wrong')).toBeVisible();
  await expect(table.getByText('P=700 G=8 R=256 16/2 × 128')).toBeVisible();
  await expect(table.getByText('memory, 40 %')).toBeVisible();
  await page.keyboard.press('Escape');
  expect(await asked(page, 'stop-bench')).toBe(0);
  await tell(page, { type: 'bench-done', id, targets: [], stopped: true });
  await expect(page.getByText('stopped; what was measured stays')).toBeVisible();
  await expect(table.locator('tbody tr')).toHaveCount(2);

  await page.getByRole('button', { name: 'Run again' }).click();
  const second = await asked(page, 'bench');
  await tell(
    page,
    { type: 'bench-device', id: second, device: DEVICE },
    { type: 'bench-case', id: second, result: DECODE },
    { type: 'bench-case', id: second, result: LINEAR },
    {
      type: 'bench-done',
      id: second,
      stopped: false,
      targets: [
        { name: 'Backward by forward', met: 1, of: 2, worst: 5.25, limit: 4, shape: 'T=64', ok: false },
      ],
    },
  );
  await expect(page.getByText('1 of 2, worst 5.25 at T=64')).toBeVisible();
  await expect(page.getByRole('img', { name: /Roofline of 2 cases.*75 percent/ })).toBeVisible();

  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Report' }).click();
  const report = JSON.parse(await readFile(await (await download).path(), 'utf8'));
  expect(report).toMatchObject({
    format: 'tinyllava-bench-1',
    complete: true,
    device: DEVICE,
    cases: [DECODE, LINEAR],
  });

  // A kernel that is wrong: what runs instead, here and on every page.
  await page.keyboard.press('t');
  expect(await asked(page, 'self-test')).toBeGreaterThan(second);
  await expect(selfTest.getByText('testing')).toBeVisible();
  const failed = { ...REPORT.checks[0]!, ok: false, max_error: 0.2 };
  await tell(page, { type: 'self-test', report: { ...REPORT, off: [{ kind: 'subgroups', check: failed }] } });
  await expect(selfTest.getByText('1 switched off')).toBeVisible();
  await expect(selfTest.getByText('linear layers f32: off by 2e-1')).toBeVisible();
  await page.getByRole('link', { name: 'Ask' }).click();
  await expect(page.getByRole('link', { name: /Some kernels failed their self-test/ })).toBeVisible();
  await page.getByRole('link', { name: 'Bench' }).click();

  await page.getByRole('button', { name: 'Run again' }).click();
  await tell(page, {
    type: 'error',
    id: await asked(page, 'bench'),
    error: {
      scope: 'bench',
      code: 'failed',
      title: 'The measurement could not be finished.',
      message: 'Why.',
    },
  });
  await expect(page.getByTestId('error')).toContainText('could not be finished');
  await expect(page.getByTestId('bench')).toHaveAttribute('data-status', 'stopped');
});
