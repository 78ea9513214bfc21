import { defineConfig } from '@playwright/test';
import { CHROMIUM_ARGS, findChromium } from './scripts/find-chromium.mjs';

const executablePath = findChromium();
const port = process.env.E2E_PORT ?? '4173';
const url = `http://localhost:${port}`;

// States of the page, played by a scripted engine: they measure no time, and may run beside other tests.
const STATES = /page-[^/]*\.spec\.ts$/;

// End-to-end tests on the built page: `npm run build` comes first.
export default defineConfig({
  testDir: 'tests/e2e',
  timeout: 180_000,
  // On a CPU adapter, with the model's pipelines compiling beside it, a page can take its time.
  expect: { timeout: 30_000 },
  // A slip of timing on a busy machine is tried again, and `npm test` names it.
  retries: 1,
  workers: 1,
  fullyParallel: false,
  projects: [
    { name: 'states', testMatch: STATES },
    { name: 'engine', testIgnore: STATES },
  ],
  reporter: 'list',
  use: {
    baseURL: url,
    viewport: { width: 1440, height: 900 },
    // What cannot be pressed is told then, not when the whole test has run out of time.
    actionTimeout: 60_000,
    launchOptions: { ...(executablePath ? { executablePath } : {}), args: CHROMIUM_ARGS },
  },
  webServer: {
    command: `npx vite preview --port ${port} --strictPort`,
    url,
    reuseExistingServer: false,
    timeout: 60_000,
  },
});
