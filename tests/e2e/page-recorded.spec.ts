import { expect, test } from '@playwright/test';

// A browser without WebGPU: what is missing is said, and recorded answers of the toy model play in the whole page.

test('without WebGPU, recorded answers play, and what was not recorded is said', async ({ page }) => {
  await page.addInitScript(() => {
    Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined });
  });
  await page.goto('./');
  await page.getByRole('button', { name: 'Why' }).click();
  const needs = page.getByTestId('needs').getByRole('listitem');
  await expect(needs).toHaveCount(4);
  await expect(needs.nth(1)).toHaveAttribute('data-ok', 'false');
  await expect(page.getByRole('dialog')).toContainText('not tried by us');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'See recorded answers' }).click();
  await expect(page.getByTestId('model-chip')).toContainText('Recorded answers');
  await expect(page.getByText('Recorded answers are played again. Nothing is computed.')).toBeVisible();

  // One answer with an aha moment.
  await page
    .getByRole('button', { name: /checks itself/ })
    .last()
    .click();
  await expect(page.getByTestId('ask')).toBeEnabled();
  await expect(page.getByTestId('frame-strip').locator('canvas')).toHaveCount(8);
  await page.getByTestId('ask').click();
  await expect(page.getByTestId('answer')).toContainText(/[A-E]/);
  await expect(page.getByTestId('aha').first()).toBeVisible();
  await expect(page.getByTestId('stats')).toContainText('tok/s');

  // Another seed was not recorded; nothing is made up.
  await page.getByLabel('Seed').fill('99');
  await page.getByTestId('ask').click();
  await expect(page.getByTestId('error')).toContainText('This question was recorded with other settings');
  await expect(page.getByRole('button', { name: 'Ask again' })).toHaveCount(0);
  // What was recorded can still be chosen, beside the answer.
  const recorded = page.getByRole('complementary').getByRole('button', { name: /\.mp4/ });
  await recorded.first().click();
  await expect(page.getByLabel('Seed')).not.toHaveValue('99');
  await page.getByTestId('video-input').setInputFiles('tests/fixtures/video/faststart.mp4');
  await expect(page.getByText(/Only the sample clips have recorded answers/)).toBeVisible();
  expect(page.workers()).toHaveLength(0);
  // The longest name of a model fits a phone.
  await page.setViewportSize({ width: 390, height: 844 });
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
});
