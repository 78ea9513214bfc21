// `npm start`: builds the page, serves it, and opens it.
import { build, preview } from 'vite';

const port = Number(process.env.PORT ?? 4173);
await build({ logLevel: 'warn' });
const server = await preview({
  preview: { port, open: !(process.env.CI || process.env.BROWSER === 'none') },
});
server.printUrls();
