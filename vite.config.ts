import { readFile } from 'node:fs/promises';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';
import { CONTENT_SECURITY_POLICY } from './scripts/content-security-policy.mjs';
import { mp4boxWithoutUnreadBoxes } from './scripts/mp4box-without-unread-boxes.mjs';
import { withoutComments } from './scripts/wgsl-without-comments.mjs';

/** The built page names its policy itself, as a static host may be unable to. The development server needs inline scripts. */
const contentSecurityPolicy: Plugin = {
  name: 'content-security-policy',
  apply: 'build',
  transformIndexHtml: () => [
    {
      tag: 'meta',
      attrs: { 'http-equiv': 'Content-Security-Policy', content: CONTENT_SECURITY_POLICY },
      injectTo: 'head-prepend',
    },
  ],
};

/**
 * Transformers.js, of which the page uses the tokenizer, imports a whole build of ONNX Runtime with it. The page gets
 * the runtime's interface instead, and loads one of the two builds when it needs one (src/blocks/ort/load-ort.ts).
 */
const tokenizerWithoutRuntime: Plugin = {
  name: 'tokenizer-without-runtime',
  apply: 'build',
  enforce: 'pre',
  resolveId(source, importer) {
    if (source !== 'onnxruntime-web/webgpu' || !importer?.includes('@huggingface/transformers')) return null;
    return this.resolve('onnxruntime-common', importer);
  },
};

/** Shaders are documented in their files; the built page carries their code alone. WGSL has no strings to mind. */
const shadersWithoutComments: Plugin = {
  name: 'shaders-without-comments',
  apply: 'build',
  enforce: 'pre',
  async load(id) {
    if (!id.endsWith('.wgsl?raw')) return null;
    const code = await readFile(id.slice(0, -'?raw'.length), 'utf8');
    return `export default ${JSON.stringify(withoutComments(code))};`;
  },
};

export default defineConfig({
  // Relative, so that the built page runs under any path of any static host.
  base: './',
  plugins: [react(), contentSecurityPolicy, shadersWithoutComments],
  worker: {
    format: 'es',
    plugins: () => [tokenizerWithoutRuntime, shadersWithoutComments, mp4boxWithoutUnreadBoxes],
    rolldownOptions: {
      checks: { pluginTimings: false },
      output: {
        codeSplitting: {
          groups: [
            { name: 'transformers', test: /node_modules\/(@huggingface|onnxruntime-common)\// },
            // Needed by training and the bench page alone; left to itself the bundler puts them beside the forward ones.
            { name: 'attention-backward', test: /shaders\/attention\/(backward|delta)/ },
          ],
        },
      },
    },
  },
  build: {
    target: 'es2023',
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 2000,
    rolldownOptions: { checks: { pluginTimings: false } },
  },
  // ONNX Runtime resolves its wasm file relative to its own module: pre-bundling would break that.
  optimizeDeps: { exclude: ['onnxruntime-web'] },
});
