import { expect, type Page } from '@playwright/test';
import { test } from './ask-page';

// The real engine: a new toy clip is made, encoded and asked about; a link brings a question back, and its answer.

async function answer(page: Page): Promise<string> {
  await expect(page.getByTestId('ask')).toBeEnabled({ timeout: 120_000 });
  await page.getByTestId('ask').click();
  await expect(page.getByTestId('stop')).toBeHidden({ timeout: 60_000 });
  return (await page.getByTestId('think').textContent()) ?? '';
}

test('a link reproduces an answer, and a new toy clip can be asked about', async ({
  askPage: { page },
  page: visitor,
}) => {
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.getByRole('button', { name: 'New toy clip' }).click();
  await expect(page.getByRole('heading', { name: /^toy-\d+\.mp4$/ })).toBeVisible({ timeout: 60_000 });
  await expect(page.getByTestId('ask')).toBeEnabled({ timeout: 120_000 });
  await expect(page.getByTestId('frame-strip').locator('canvas')).toHaveCount(8);
  await expect(page.getByTestId('question')).not.toHaveValue('');

  await page.getByTestId('gallery-item').nth(2).click();
  await page.getByTestId('sample-question').selectOption({ index: 2 });
  await page.getByLabel('Seed').fill('4');
  await page.getByLabel('Max tokens').fill('24');
  await expect(page.getByTestId('stop')).toBeHidden();
  const text = await answer(page);
  expect(text).toMatch(/\w{2,}/);
  await page.getByRole('button', { name: 'Export this answer' }).first().click();
  await page.getByRole('button', { name: 'Copy link' }).click();
  await expect(page.getByText('Copied')).toBeVisible();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  expect(link).toContain('#ask?clip=');

  // Somebody else's browser: nothing of the first visit is there.
  await visitor.goto(link);
  await expect(visitor.getByText('Press Ask to see the answer.')).toBeVisible();
  await expect(visitor.getByLabel('Seed')).toHaveValue('4');
  expect(await answer(visitor)).toBe(text);
});
