import { playwright } from '@vitest/browser-playwright';
import { defineConfig, type TestProjectConfiguration } from 'vitest/config';
import { CHROMIUM_ARGS, findChromium } from './scripts/find-chromium.mjs';

const executablePath = findChromium();

/** The tests of a folder in headless Chromium, one file after the other; isolated: each in a page of its own. */
function inChromium(name: string, { isolate }: { isolate: boolean }): TestProjectConfiguration {
  return {
    extends: true,
    // What is found late is optimised late, and a late optimisation reloads the page in the middle of a test.
    optimizeDeps: {
      exclude: ['onnxruntime-web'],
      include: [
        '@huggingface/transformers',
        'mediabunny',
        'mp4box',
        // A file that is not there is answered with the page, whose imports the server then looks at.
        ...['react', 'react-dom/client', 'react/jsx-dev-runtime', 'zustand', 'zustand/vanilla', 'uplot'],
      ],
      entries: [],
    },
    test: {
      name,
      include: [`tests/${name}/**/*.test.ts`],
      testTimeout: 180_000,
      hookTimeout: 180_000,
      fileParallelism: false,
      isolate,
      browser: {
        enabled: true,
        headless: true,
        screenshotFailures: false,
        provider: playwright({
          launchOptions: { ...(executablePath ? { executablePath } : {}), args: CHROMIUM_ARGS },
        }),
        instances: [{ browser: 'chromium' }],
      },
    },
  };
}

export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          environment: 'node',
          include: ['tests/unit/**/*.test.ts'],
          testTimeout: 60_000,
          // Files share a worker: what they all import is loaded once. Each puts back what it stubs.
          isolate: false,
        },
      },
      {
        // The GPU tests again in Node, through Dawn, where a Vulkan driver is found (tests/support/node-gpu.ts).
        extends: true,
        test: {
          name: 'gpu-node',
          environment: 'node',
          include: ['tests/gpu/**/*.test.ts'],
          setupFiles: ['tests/support/node-gpu-setup.ts'],
          // V8's optimising compiler works for minutes on ONNX Runtime's wasm; the baseline one is right for a test.
          execArgv: ['--liftoff-only'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      // One page for all files: pipelines are compiled once (tests/support/shared-gpu.ts).
      inChromium('gpu', { isolate: false }),
      inChromium('browser', { isolate: true }),
    ],
  },
});
