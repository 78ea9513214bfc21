import { expect, type Page, test } from '@playwright/test';
import { CONTENT_SECURITY_POLICY } from '../../scripts/content-security-policy.mjs';
import { type HostOptions, type StaticHost, startStaticHost } from '../support/static-server';

// What `npm run build` wrote, behind static hosts of several kinds: under a sub-path, without cross-origin isolation.
// Every host writes the same thoughts, greedily: with our own kernels to the end, and with both builds of ONNX Runtime,
// which takes a CPU adapter long, the first tokens of them.

declare global {
  interface Window {
    reportViolation(what: string): void;
  }
}

interface Visit {
  host: StaticHost;
  /** Path (under the page's folder) and media type of everything the browser fetched. */
  files: Map<string, string>;
  /** Violations of the page's own policy, and errors. */
  problems: string[];
  /** What the model wrote. */
  trace: string;
}

async function visit(page: Page, options: HostOptions, query = '', tokens?: number): Promise<Visit> {
  const host = await startStaticHost('dist', options);
  const visited: Visit = { host, files: new Map(), problems: [], trace: '' };
  page.on('response', (response) => {
    // Not the object URLs of thumbnails and videos.
    if (response.url().startsWith('blob:')) return;
    const { pathname } = new URL(response.url());
    visited.files.set(
      pathname.replace('/some/where/', ''),
      (response.headers()['content-type'] ?? '').split(';')[0]!,
    );
  });
  page.on('pageerror', (error) => visited.problems.push(error.message));
  await page.exposeFunction('reportViolation', (what: string) => visited.problems.push(what));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) =>
      window.reportViolation(`${effectiveDirective} ${blockedURI}`),
    );
  });
  await page.goto(host.url + query);
  await page.getByTestId('gallery-item').nth(3).click();
  await page.getByLabel(/temperature/i).fill('0');
  if (tokens) await page.getByLabel('Max tokens').fill(String(tokens));
  await expect(page.getByTestId('ask')).toBeEnabled({ timeout: 120_000 });
  await page.getByTestId('ask').click();
  if (!tokens) await expect(page.getByTestId('answer')).toContainText(/[A-E]/, { timeout: 60_000 });
  await expect(page.getByTestId('stop')).toBeHidden({ timeout: 60_000 });
  visited.trace = (await page.getByTestId('think').locator('[data-token]').allTextContents()).join('');
  expect(visited.trace).toMatch(/\w{2,}/);
  return visited;
}

function fetched(visited: Visit, ending: string): string[] {
  return [...visited.files.keys()].filter((path) => path.endsWith(ending));
}

// The trace of the first host, to which the others are held: the tests run in order.
test.describe.configure({ mode: 'serial' });
let ownKernels: string | undefined;
const FIRST = 12;

test('a plain host under a sub-path: on a CPU adapter own kernels answer, and no runtime is fetched', async ({
  page,
}) => {
  const visited = await visit(page, {});
  ownKernels = visited.trace;
  const { host, files, problems } = visited;
  expect(await page.evaluate(() => [crossOriginIsolated, typeof SharedArrayBuffer])).toEqual([
    false,
    'undefined',
  ]);
  expect(fetched(visited, '.wasm')).toEqual([]);
  expect([...files.keys()].filter((path) => /ort[.-]/.test(path))).toEqual([]);
  expect([...files.keys()].filter((path) => path.startsWith('/') || path.startsWith('http'))).toEqual([]);
  expect(host.missing.filter((path) => !path.startsWith('/some/where/models/'))).toEqual([]);
  await page.getByRole('button', { name: /theme|dark|light/i }).click();
  await expect(page.locator('html')).toHaveAttribute('data-theme', /dark|light/);
  expect(problems).toEqual([]);
  // The page's policy is in force, and what it forbids is seen.
  await expect(page.evaluate(() => fetch('http://elsewhere.invalid/x'))).rejects.toThrow();
  await page.evaluate(() => {
    document.head.append(Object.assign(document.createElement('script'), { textContent: 'var bad = 1' }));
  });
  await expect
    .poll(() => problems)
    .toEqual(['connect-src http://elsewhere.invalid/x', 'script-src-elem inline']);
  await host.close();
});

test('a host that compresses everything and sends the policy as a header: ONNX Runtime, JSPI build', async ({
  page,
}) => {
  const visited = await visit(
    page,
    { encoding: 'br', contentSecurityPolicy: CONTENT_SECURITY_POLICY },
    '?backend=ort',
    FIRST,
  );
  const { host, files, problems } = visited;
  expect(fetched(visited, '.wasm')).toEqual([expect.stringContaining('.jspi')]);
  expect(files.get(fetched(visited, '.wasm')[0]!)).toBe('application/wasm');
  expect(ownKernels?.startsWith(visited.trace)).toBe(true);
  expect(problems).toEqual([]);
  expect(host.reports).toEqual([]);
  // The header holds in the worker too, and what it forbids there is reported.
  await page.workers()[0]!.evaluate(() => fetch('http://elsewhere.invalid/x').catch(() => undefined));
  await expect.poll(() => host.reports.join()).toContain('elsewhere.invalid');
  await host.close();
});

test('a browser that cannot suspend wasm, a host that knows no wasm: the larger build, and the same answer', async ({
  page,
}) => {
  const visited = await visit(
    page,
    {
      encoding: 'gzip',
      types: { '.wasm': 'application/octet-stream' },
      workerPrologue: 'delete WebAssembly.Suspending;',
    },
    '?backend=ort',
    FIRST,
  );
  expect(fetched(visited, '.wasm')).toEqual([expect.stringContaining('.asyncify')]);
  expect(ownKernels?.startsWith(visited.trace)).toBe(true);
  expect(visited.problems).toEqual([]);
  await visited.host.close();
});
