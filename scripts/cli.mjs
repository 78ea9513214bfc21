// `node scripts/cli.mjs COMMAND ...`: runs src/cli/COMMAND.ts. Vite loads it, so that the command line has the page's
// own modules, shaders included.
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { createServer } from 'vite';

// V8's optimising compiler takes minutes and gigabytes over ONNX Runtime's wasm, whose part here is only to issue GPU
// work: the baseline compiler's code will do.
for (const flag of ['--liftoff-only', '--no-wasm-tier-up', '--no-wasm-dynamic-tiering'])
  setFlagsFromString(flag);

const COMMANDS = ['verify', 'evaluate', 'record-answers', 'train', 'bench'];
const [command, ...args] = process.argv.slice(2);

if (!COMMANDS.includes(command)) {
  console.error(`Usage: node scripts/cli.mjs ${COMMANDS.join('|')} ...`);
  process.exit(2);
}

const server = await createServer({
  root: fileURLToPath(new URL('..', import.meta.url)),
  server: { middlewareMode: true, hmr: false, ws: false, watch: null },
  appType: 'custom',
  optimizeDeps: { noDiscovery: true, include: [] },
  logLevel: 'error',
});
let code = 1;
try {
  const { main } = await server.ssrLoadModule(`/src/cli/${command}.ts`);
  code = await main(args);
} catch (error) {
  console.error(error instanceof Error ? (error.stack ?? error.message) : error);
}
await server.close();
// Dawn and ONNX Runtime keep handles open.
process.exit(code);
