import { expect, type Page, test } from '@playwright/test';

// The built page with the toy model, real H.264 clips, on whatever adapter this machine has.
const CLIP = 'public/samples/';

async function openSample(page: Page, index = 0): Promise<void> {
  await page.getByTestId('gallery-item').nth(index).click();
  await expect(page.getByTestId('frame-strip').getByRole('button')).toHaveCount(8, { timeout: 120_000 });
  await expect(page.getByTestId('ask')).toBeEnabled({ timeout: 60_000 });
}

// One page for all: compiling its model takes most of a visit.
test.describe('Ask', () => {
  test.describe.configure({ mode: 'serial' });
  let page: Page;
  const errors: string[] = [];

  test.beforeAll(async ({ browser }) => {
    page = await browser.newPage();
    page.on('pageerror', (error) => errors.push(error.message));
    await page.goto('./');
  });
  test.afterEach(() => expect(errors).toEqual([]));
  test.afterAll(() => page.close());

  test('a sample clip gets a streamed trace and an answer', async () => {
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

  test('a dropped file is read, and the same seed gives the same answer', async () => {
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

  test('Stop ends an answer, keeps what was written, and another can be asked', async () => {
    await openSample(page, 1);
    await page.getByTestId('ask').click();
    await expect(page.getByTestId('think')).toContainText(/\w{2,}/);
    await page.getByTestId('stop').click();
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
