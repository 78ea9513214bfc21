// `npm start`: builds the page, serves it, and opens it.
import { build, preview } from 'vite';

const port = Number(process.env.PORT ?? 4173);
console.log('Building the page ...');
await build({ logLevel: 'warn' });
const server = await preview({
  preview: { port, open: !(process.env.CI || process.env.BROWSER === 'none') },
});
server.printUrls();
console.log('  End it with Ctrl C.');
