import { expect, type Page, test } from '@playwright/test';

// A run on the Train page with the real engine and the toy base, as small as a run can be: started, paused, reloaded,
// resumed, exported, its adapter taken in again, and asked beside the base.

const setting = (page: Page, name: string) => page.locator(`[data-setting="${name}"] input`);
const head = (page: Page) => page.getByTestId('run-head');

async function state(page: Page, wanted: string): Promise<void> {
  await expect(head(page)).toHaveAttribute('data-state', wanted, { timeout: 90_000 });
}

test('a run is started, paused, reloaded, resumed, exported, and its adapter answers', async ({ page }) => {
  // Beside other tests on two cores everything takes twice as long.
  test.setTimeout(360_000);
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto('./#train');
  await page.getByRole('button', { name: 'Load the toy base' }).click();
  await page.getByTestId('setup').getByText('Quick', { exact: true }).click();
  // The fields may be drawn anew by the preset while one is filled.
  for (const [name, value] of Object.entries({
    num_generations: '2',
    questions_per_step: '1',
    max_completion_length: '12',
    max_steps: '40',
    r: '4',
    eval_questions: '2',
    save_steps: '50',
  }))
    await expect(async () => {
      await setting(page, name).fill(value);
      await expect(setting(page, name)).toHaveValue(value, { timeout: 1000 });
    }).toPass();
  await expect(page.getByTestId('start-run')).toBeEnabled({ timeout: 60_000 });
  await page.getByTestId('start-run').click();
  await state(page, 'running');
  await expect(page.getByTestId('train-answer')).toHaveCount(2, { timeout: 60_000 });
  await expect(head(page)).toContainText(/step [2-9] of 40/, { timeout: 60_000 });
  await page.keyboard.press('p');
  await state(page, 'paused');
  const saved = Number(/saved at step (\d+)/.exec((await head(page).textContent()) ?? '')?.[1]);
  expect(saved).toBeGreaterThanOrEqual(2);
  const reward = await page.locator('[data-chart="reward"] [role="img"]').getAttribute('aria-label');

  await page.reload();
  await state(page, 'paused');
  await expect(page.locator('[data-chart="reward"] [role="img"]')).toHaveAttribute('aria-label', reward!);
  await expect(page.getByTestId('completion')).toHaveCount(2 * saved);
  await expect(page.getByTestId('held-out')).toContainText('2 questions');
  await page.keyboard.press('p');
  await state(page, 'running');
  await setting(page, 'max_steps').fill(String(saved + 2));
  await setting(page, 'max_steps').press('Enter');
  await state(page, 'done');
  await expect(head(page)).toContainText(`step ${saved + 2} of ${saved + 2}`);
  await expect(page.getByTestId('run-events')).toContainText(`goes on from step ${saved}`);

  const folder = test.info().outputDir;
  const files: string[] = [];
  page.on('download', (file) => {
    const path = `${folder}/${file.suggestedFilename()}`;
    void file.saveAs(path).then(() => files.push(path));
  });
  await page
    .getByTestId('exports')
    .getByRole('button', { name: /PEFT adapter/ })
    .click();
  await expect.poll(() => files).toEqual([`${folder}/run-1-adapter.zip`]);

  await page.getByRole('button', { name: 'Ask with this adapter' }).click();
  await expect(page.getByTestId('adapters')).toContainText('Run 1', { timeout: 60_000 });
  await page.getByRole('link', { name: 'Train' }).click();
  await page.getByTestId('adapter-files').setInputFiles(files);
  await expect(page.getByTestId('adapters').getByRole('checkbox')).toHaveCount(3, { timeout: 60_000 });
  await page.getByTestId('gallery-item').nth(3).click();
  await page.getByLabel(/max tokens/i).fill('8');
  await page.getByLabel(/temperature/i).fill('0');
  await expect(page.getByTestId('ask')).toBeEnabled({ timeout: 60_000 });
  await page.getByTestId('adapters').getByRole('checkbox').nth(1).check();
  await page.getByTestId('ask').click();
  const columns = page.getByTestId('group-answer');
  await expect(columns).toHaveCount(3);
  await expect(columns.first()).toContainText('base');
  await expect(columns.nth(1)).toContainText('Run 1');
  await expect(page.getByTestId('group-stop')).toBeHidden({ timeout: 60_000 });
  // The files hold the adapter that the run made: greedy, both write the same.
  const texts = await columns.locator('.scroll').allTextContents();
  expect(texts[1]).toMatch(/\w{2,}/);
  expect(texts[2]).toBe(texts[1]);
  expect(errors).toEqual([]);
});
