import { readFileSync } from 'node:fs';
import { expect, type Page, test } from '@playwright/test';

// Files that cannot be read, on the built page with its real engine: a sentence each, and the page goes on.
const FIXTURES = 'tests/fixtures/video/';
const SAMPLE = 'public/samples/one-moves.mp4';

async function drop(page: Page, name: string, buffer: Buffer): Promise<void> {
  await page.getByTestId('video-input').setInputFiles({ name, mimeType: 'video/mp4', buffer });
}

test.describe('Bad files', () => {
  test.beforeEach(async ({ page }) => {
    await page.goto('./');
    await expect(page.getByTestId('gallery-item').first()).toBeVisible();
    await page.getByTestId('question').fill('Which object moves?');
  });

  test.afterEach(async ({ page }) => {
    // Nothing is lost, and a good file works right afterwards.
    await expect(page.getByTestId('question')).toHaveValue('Which object moves?');
    await page.getByTestId('video-input').setInputFiles(SAMPLE);
    await expect(page.getByTestId('ask')).toBeEnabled({ timeout: 60_000 });
    await expect(page.getByTestId('error')).toHaveCount(0);
  });

  test('a text file that is named like a video', async ({ page }) => {
    await drop(page, 'notes.mp4', Buffer.from('These are my notes, and no video at all. '.repeat(50)));
    await expect(page.getByTestId('error')).toContainText(/notes\.mp4.*(not a video|no video)|not a video/i, {
      timeout: 60_000,
    });
  });

  test('a file that was cut off before its tables', async ({ page }) => {
    const whole = readFileSync(`${FIXTURES}moov-last.mp4`);
    await drop(page, 'cut.mp4', whole.subarray(0, whole.length / 2));
    await expect(page.getByTestId('error')).toContainText(/cut|stops early|end/i, { timeout: 60_000 });
  });

  test('a codec that this browser cannot decode is named', async ({ page }) => {
    await drop(page, 'phone.mp4', readFileSync(`${FIXTURES}hevc.mp4`));
    await expect(page.getByTestId('error')).toContainText(/HEVC/, { timeout: 60_000 });
  });
});

test('a file that stops early is answered from the part that works, and the page says so', async ({
  page,
}) => {
  await page.goto('./');
  await expect(page.getByTestId('gallery-item').first()).toBeVisible();
  const whole = readFileSync(SAMPLE);
  await drop(page, 'short.mp4', whole.subarray(0, Math.floor(whole.length * 0.7)));
  await expect(page.getByText(/stops early/i)).toBeVisible({ timeout: 60_000 });
  await expect(page.getByTestId('frame-strip').getByRole('button')).toHaveCount(8);
  await page.getByTestId('question').fill('Which object moves?');
  await expect(page.getByTestId('ask')).toBeEnabled({ timeout: 60_000 });
});
