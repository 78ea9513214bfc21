import { cpSync, writeFileSync } from 'node:fs';
import { type Browser, chromium, expect, type Page, test } from '@playwright/test';

// The engine of the built page loses its GPU, or gets a model that is none. A browser of its own: after a crash of the
// GPU process Chromium keeps some pages from the GPU for a while.
let browser: Browser;
let page: Page;

test.describe.configure({ mode: 'serial' });
test.beforeAll(async ({ launchOptions, baseURL }) => {
  browser = await chromium.launch(launchOptions);
  page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.goto(baseURL!);
  await page.getByTestId('gallery-item').first().click();
  await expect(page.getByTestId('ask')).toBeEnabled({ timeout: 90_000 });
});
test.afterAll(() => browser?.close());

test('a crash of the GPU process in the middle of an answer: the page recovers by itself, and answers', async () => {
  const question = await page.getByTestId('question').inputValue();
  await page.getByTestId('ask').click();
  await expect(page.getByTestId('think')).toContainText(/\w{2,}/);
  const session = await browser.newBrowserCDPSession();
  // The command never answers where the process is gone before it could.
  session.send('Browser.crashGpuProcess').catch(() => undefined);
  const message = page.getByTestId('error');
  await expect(message).toContainText('The GPU was reset.', { timeout: 60_000 });
  await expect(message).toContainText('The system took the GPU away.');
  await expect(message).toContainText('Your question and your video are kept.');
  await expect(message).toHaveAttribute('data-code', 'device-recovered', { timeout: 90_000 });
  await expect(page.getByTestId('question')).toHaveValue(question);
  // The crash took the pictures of the page as well: the player's and the chart's come back.
  await expect.poll(() => page.evaluate(shownPictures)).toEqual({ player: true, chart: true });
  await message.getByRole('button', { name: 'Ask again' }).click();
  await expect(page.getByTestId('answer')).toContainText(/[A-E]/, { timeout: 60_000 });
  await expect(page.getByTestId('stop')).toBeHidden({ timeout: 60_000 });
});

test('a folder that is no model is named, and the toy model goes on', async () => {
  const folder = test.info().outputPath('my-model');
  cpSync('public/models/toy', folder, { recursive: true });
  writeFileSync(`${folder}/model.safetensors`, 'These are my notes.');
  await page.keyboard.press('m');
  await page.getByTestId('model-folder').setInputFiles(folder);
  const message = page.getByRole('dialog').getByTestId('error');
  await expect(message).toContainText('model.safetensors is not a safetensors file, but a text file', {
    timeout: 60_000,
  });
  await expect(message).toContainText('Toy model stays loaded.');
  await expect(page.getByRole('button', { name: /^in use Toy model/i })).toBeDisabled();
  await page.keyboard.press('Escape');
  await expect(page.getByTestId('ask')).toBeEnabled({ timeout: 60_000 });
});

/** Whether the player has a frame that is not black, and the entropy chart is not empty. Runs in the page. */
function shownPictures(): { player: boolean; chart: boolean } {
  const video = document.querySelector('video')!;
  const copy = new OffscreenCanvas(64, 64).getContext('2d')!;
  copy.drawImage(video, 0, 0, 64, 64);
  const chart = document.querySelector<HTMLCanvasElement>('.ent canvas')!;
  const drawn = chart.getContext('2d')!.getImageData(0, 0, chart.width, chart.height).data;
  const lit = copy.getImageData(0, 0, 64, 64).data.some((value, i) => i % 4 < 3 && value > 40);
  return { player: lit, chart: drawn.some((value) => value > 0) };
}
