import { readFileSync, writeFileSync } from 'node:fs';
import { expect, type Page } from '@playwright/test';
import { test } from './ask-page';

// The built page with the toy model, real H.264 clips, on whatever adapter this machine has.
const CLIP = 'public/samples/';

async function openSample(page: Page, index = 0): Promise<void> {
  await page.getByTestId('gallery-item').nth(index).click();
  await expect(page.getByTestId('frame-strip').getByRole('button')).toHaveCount(8, { timeout: 120_000 });
  await expect(page.getByTestId('ask')).toBeEnabled({ timeout: 60_000 });
}

test.describe('Ask', () => {
  test.describe.configure({ mode: 'serial' });

  test('a file that changes on disk before it is read', async ({ askPage: { page } }, testInfo) => {
    const path = testInfo.outputPath('film.mp4');
    writeFileSync(path, readFileSync('tests/fixtures/video/faststart.mp4'));
    // The visit begins: the engine reads the file when the model is there, seconds later.
    await page.getByTestId('video-input').setInputFiles(path);
    writeFileSync(path, 'Something else is in this file by now.');
    await expect(page.getByTestId('error')).toContainText(
      /film\.mp4 can no longer be read: it was moved, changed or removed.*Choose the video again/,
    );
  });

  test('a sample clip gets a streamed trace and an answer', async ({ askPage: { page } }) => {
    await openSample(page);
    const pressed = Date.now();
    await page.getByTestId('ask').click();
    await expect(page.getByTestId('think')).toContainText(/\w{2,}/);
    const firstText = Date.now() - pressed;
    await expect(page.getByTestId('answer')).toContainText(/^\W*(<answer>)?\s*[A-E]/, { timeout: 30_000 });
    await expect(page.getByTestId('stats')).toContainText(/tok\/s/);
    await expect(page.getByTestId('ask')).toBeEnabled();
    test.info().annotations.push({ type: 'first text after', description: `${firstText} ms` });
    expect(firstText).toBeLessThan(3000);
  });

  test('a dropped file is read, and the same seed gives the same answer', async ({ askPage: { page } }) => {
    await page.getByTestId('video-input').setInputFiles(await firstClip(page));
    await page.getByTestId('question').fill('Which way does the object move?');
    await expect(page.getByTestId('ask')).toBeEnabled({ timeout: 60_000 });
    await expect(page.getByTestId('frame-strip').getByRole('button')).toHaveCount(8);
    const answers: string[] = [];
    for (let i = 0; i < 2; i++) {
      await page.getByTestId('ask').click();
      await expect(page.getByTestId('stop')).toBeHidden({ timeout: 60_000 });
      answers.push((await page.getByTestId('think').textContent()) ?? '');
    }
    expect(answers[0]).toMatch(/\w{2,}/);
    expect(answers[1]).toBe(answers[0]);
    // A WebM goes the same way; what reads it is fetched now.
    const scripts: string[] = [];
    page.on('request', (request) => scripts.push(request.url()));
    await page.getByTestId('video-input').setInputFiles('tests/fixtures/video/odd-size.webm');
    await expect(page.getByText(/127 × 35/)).toBeVisible();
    await expect(page.getByTestId('frame-strip').getByRole('button')).toHaveCount(8);
    await expect(page.getByTestId('ask')).toBeEnabled();
    expect(scripts.filter((url) => /\/matroska-[^/]*\.js$/.test(url)).length).toBe(1);
  });

  test('Stop ends an answer, keeps what was written, and another can be asked', async ({
    askPage: { page },
  }) => {
    await openSample(page, 1);
    // Pressed in the page, as soon as there is a word: the answer may be over before a click from outside comes.
    const stopped = page.evaluate(
      () =>
        new Promise<void>((resolve) => {
          const find = (id: string) => document.querySelector<HTMLElement>(`[data-testid="${id}"]`);
          const watch = new MutationObserver(() => {
            if (!/\w{2,}/.test(find('think')?.textContent ?? '') || !find('stop')) return;
            watch.disconnect();
            find('stop')!.click();
            resolve();
          });
          watch.observe(document.body, { subtree: true, childList: true, characterData: true });
        }),
    );
    await page.getByTestId('ask').click();
    await stopped;
    await expect(page.getByText(/stopped by you at token \d+/i)).toBeVisible();
    const kept = (await page.getByTestId('think').textContent()) ?? '';
    expect(kept.length).toBeGreaterThan(2);
    await page.getByTestId('ask').click();
    await expect(page.getByTestId('answer')).toContainText(/[A-E]/, { timeout: 30_000 });
  });
});

async function firstClip(page: Page): Promise<string> {
  const index = (await (await page.request.get('samples/index.json')).json()) as { file: string }[];
  return CLIP + index[0]!.file;
}
