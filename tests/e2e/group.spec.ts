import { expect } from '@playwright/test';
import { test } from './ask-page';
import { longestTask } from './longest-task';
import { emit, fakeAnswer, fakeStats, lastId } from './page-fake-engine';
import { columns, readyToAsk, streamLongAnswers } from './page-fake-group';

// Long answers, and a group and a fork by the model itself.

test('long answers do not hold up the page', async ({ page }) => {
  await readyToAsk(page);
  await page.getByTestId('ask').click();
  const one = await longestTask(page, () =>
    streamLongAnswers(page, { total: 1, tokens: 2000, perEvent: 40 }),
  );
  await expect(page.getByTestId('stats')).toContainText('2000');
  await expect(page.locator('[data-token="1999"]')).toBeVisible();
  await page.keyboard.press('Escape');
  const { trace } = fakeAnswer();
  const ended = { trace, stats: fakeStats(2000), reason: 'stopped' } as const;
  await emit(page, { type: 'answered', id: await lastId(page, 'ask'), sample: 0, ...ended });
  await page.getByTestId('ask-other').click();
  // The layout that has most to do.
  await page.getByText('Differences', { exact: true }).click();
  const eight = await longestTask(page, () =>
    streamLongAnswers(page, { total: 8, tokens: 512, perEvent: 16 }),
  );
  await expect(columns(page).nth(7)).toContainText('512 tokens');
  for (const [type, { cpu, wall }] of Object.entries({ one, eight })) {
    const description = `${cpu.toFixed()} ms of work, ${wall.toFixed()} ms with waiting for a core`;
    test.info().annotations.push({ type: `longest task, ${type}`, description });
    expect(cpu).toBeGreaterThan(0);
    expect(cpu).toBeLessThanOrEqual(100);
  }
});

test('the model answers four times under one prefix, and goes on from another token', async ({
  askPage: { page },
}) => {
  await page.getByTestId('gallery-item').first().click();
  await page.getByTestId('sample-question').selectOption({ index: 1 });
  await expect(page.getByTestId('ask')).toBeEnabled({ timeout: 120_000 });
  await page.getByRole('spinbutton', { name: 'Answers, G' }).press('Home');
  for (let i = 0; i < 3; i++) await page.getByRole('button', { name: 'Answers, G: one more' }).click();
  await page.getByTestId('ask').click();
  await expect(columns(page)).toHaveCount(4);
  await expect(page.getByRole('button', { name: 'Ask again' })).toBeEnabled({ timeout: 120_000 });
  for (const reward of await page.getByTestId('reward').allTextContents()) {
    expect(reward).toMatch(/^[+−]\d\.\d\d$/);
  }
  for (const advantage of await page.getByTestId('advantage').all()) await expect(advantage).toHaveText(/\d/);
  const advantages = await page.getByTestId('advantage').allTextContents();
  const sum = advantages.reduce((total, text) => total + Number(text.replace('−', '-')), 0);
  expect(advantages).toHaveLength(4);
  expect(Math.abs(sum)).toBeLessThan(0.03);
  await expect(page.locator('.group-prefix')).toContainText(/Shared prefix, \d+ tokens/);

  await page.getByRole('button', { name: /^Answer 2/ }).click();
  // A word: a token may also be a space, which has no width where a line ends.
  const token = page.getByTestId('think').locator('[data-token]', { hasText: /\w{3}/ }).nth(3);
  await token.click();
  const position = Number(await token.getAttribute('data-token'));
  const texts = async () =>
    page
      .locator('.mid [data-token]')
      .evaluateAll((all) =>
        all.map((one) => [Number((one as HTMLElement).dataset.token), one.textContent] as const),
      );
  const before = await texts();
  await page.keyboard.press('f');
  await expect(page.getByTestId('fork-origin')).toContainText(`Forked at token ${position + 1}`);
  await expect(page.getByTestId('stop')).toBeHidden({ timeout: 120_000 });
  const after = await texts();
  const shared = (list: typeof before) => list.filter(([index]) => index < position);
  expect(shared(after)).toEqual(shared(before));
  const at = (list: typeof before) => list.find(([index]) => index === position)?.[1];
  expect(at(after)).not.toBe(at(before));
  expect(after.length).toBeGreaterThan(shared(after).length + 1);
  await expect(page.getByTestId('stats')).toContainText(/tok\/s/);
  await page.getByRole('spinbutton', { name: 'Answers, G' }).press('Home');
});
