import { chromium, type Page } from 'playwright';
import { createServer } from 'vite';
import { ensureChromium } from '../../scripts/ensure-chromium.mjs';
import { CHROMIUM_ARGS } from '../../scripts/find-chromium.mjs';
import { serveFolder } from './serve-folder';

/**
 * Serves the repository, opens one of its pages in headless Chromium and hands it to `use`, with the server's origin
 * (it ends in a slash). Errors on the page's console are printed. Server and browser end with the call.
 * `folders` are served as well: path under the origin -> folder on disk.
 */
export async function withEnginePage<T>(
  path: string,
  use: (page: Page, origin: string) => Promise<T>,
  folders: Record<string, string> = {},
): Promise<T> {
  const server = await createServer({
    server: { port: 0, hmr: false, watch: null },
    // What is found late is optimised late, and that reloads the page.
    optimizeDeps: { include: ['@huggingface/transformers', 'mp4box', 'mediabunny', '@jax-js/jax'] },
    logLevel: 'error',
    plugins: [
      {
        name: 'folders',
        configureServer(vite) {
          for (const [path, folder] of Object.entries(folders))
            vite.middlewares.use(`/${path}`, serveFolder(folder));
        },
      },
    ],
  });
  await server.listen();
  const browser = await chromium.launch({ executablePath: ensureChromium(), args: CHROMIUM_ARGS });
  try {
    const origin = server.resolvedUrls!.local[0]!;
    const page = await browser.newPage();
    page.on('console', (message) => {
      // The browser itself reports every probe for a file that a checkpoint need not have.
      const probe = message.text().startsWith('Failed to load resource');
      if (message.type() === 'error' && !probe) console.error(message.text());
    });
    await page.goto(`${origin}${path}`);
    return await use(page, origin);
  } finally {
    await browser.close();
    await server.close();
  }
}
