import { expect, test } from '@playwright/test';

// The Bench page with its real engine: the self-test of this adapter, the backends' reasons, and the first kernels.

test('tests and measures the kernels of this adapter', async ({ page }) => {
  await page.goto('./#bench');
  await expect(page.getByTestId('model-chip')).toHaveAttribute('data-status', 'ready', { timeout: 120_000 });
  const selfTest = page.getByTestId('self-test');
  await expect(selfTest.getByText(/^(\d) of \1 passed$/)).toBeVisible();
  await expect(selfTest.getByText('norms and activations')).toBeVisible();
  // Tests run on a CPU adapter.
  await expect(page.getByText(/A CPU adapter.*Not measured/)).toBeVisible();

  const testAgain = page.getByRole('button', { name: 'Run self-test' });
  await testAgain.click();
  // One thing at a time: nothing is measured while kernels are tested.
  await expect(testAgain).toBeEnabled({ timeout: 60_000 });
  const took = selfTest.getByText(/^Took \d+ ms beyond compiling\.$/);
  await expect(took).toBeVisible();

  await page.keyboard.press('b');
  const cases = page.getByTestId('bench-cases').locator('tbody tr:not(.case-group)');
  await expect(cases).not.toHaveCount(0, { timeout: 120_000 });
  await expect(page.getByRole('img', { name: /^Roofline of \d+ case/ })).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByTestId('bench')).toHaveAttribute('data-status', 'stopped', { timeout: 120_000 });
  await expect(page.getByText('stopped; what was measured stays')).toBeVisible();

  // At the next visit the self-test is remembered.
  await page.reload();
  await expect(selfTest.getByText('From an earlier visit')).toBeVisible({ timeout: 120_000 });
});
