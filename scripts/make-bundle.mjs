// `npm run bundle -- [OUT_FOLDER]` writes what `verify` and `bench` need on a machine that has Node, Dawn and ONNX
// Runtime Web but neither this repository nor a network: one module a command, shaders inside, beside the folders
// that `verify` reads. Default OUT_FOLDER: dist-node/. There: `node OUT_FOLDER/bench.mjs attention --json`.
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = resolve(root, process.argv[2] ?? 'dist-node');
const COMMANDS = ['bench', 'verify'];
// The tokenizer's library loads native code for images and models in Node, which is not its part here: as in a page.
const TOKENIZER = {
  find: /^@huggingface\/transformers$/,
  replacement: join(root, 'node_modules/@huggingface/transformers/dist/transformers.web.js'),
};

await build({
  root,
  configFile: false,
  publicDir: false,
  logLevel: 'warn',
  resolve: { alias: [TOKENIZER] },
  build: {
    ssr: true,
    outDir: out,
    emptyOutDir: true,
    target: 'node20',
    rolldownOptions: {
      input: Object.fromEntries(
        COMMANDS.map((name) => [`${name}-command`, join(root, `src/cli/${name}.ts`)]),
      ),
      // What a bundle brings along, and what it has not: a browser to drive.
      external: [/^onnxruntime-web/, /^webgpu$/, /^playwright/, /^vite$/],
      output: { entryFileNames: '[name].mjs', chunkFileNames: '[name]-[hash].mjs' },
    },
  },
  // Tokenizer and video code come along; the runtime stays where its wasm file is.
  ssr: { noExternal: true, external: ['onnxruntime-web', 'webgpu', 'playwright', 'vite'] },
});
for (const name of COMMANDS) {
  await writeFile(
    join(out, `${name}.mjs`),
    `// Runs ${name} with the arguments of the command line.\n` +
      "import { setFlagsFromString } from 'node:v8';\n" +
      "for (const flag of ['--liftoff-only', '--no-wasm-tier-up', '--no-wasm-dynamic-tiering']) setFlagsFromString(flag);\n" +
      `const { main } = await import('./${name}-command.mjs');\n` +
      '// Dawn and ONNX Runtime keep handles open.\n' +
      'process.exit(await main(process.argv.slice(2)));\n',
  );
}
await mkdir(join(out, 'models'), { recursive: true });
await cp(join(root, 'public/models/toy'), join(out, 'models/toy'), { recursive: true });
await cp(join(root, 'tests/golden'), join(out, 'golden'), { recursive: true });
console.log(`Written to ${out}: bench.mjs and verify.mjs, golden/ and models/toy/.`);
