import { expect, type Page, test } from '@playwright/test';
import { axeProblems } from './page-axe';
import { emit, fakeAnswer, fakeStats, lastId, lastRequest } from './page-fake-engine';
import { columns, endFakeGroup, readyToAsk, streamFakeGroup } from './page-fake-group';

// Several answers to one question, and forks: states of the page that need no model.

/** Numbers of the answers in the order in which they stand. */
async function numbers(page: Page): Promise<number[]> {
  return columns(page).evaluateAll((all) =>
    all.map((one) => Number((one as HTMLElement).dataset.sample) + 1),
  );
}

test('a group streams side by side, and ends with rewards, advantages and what they come to', async ({
  page,
}) => {
  await readyToAsk(page);
  await page.getByRole('button', { name: 'Option B is right' }).click();
  await page.getByRole('button', { name: 'Answers, G: one more' }).click();
  await page.getByRole('spinbutton', { name: 'Answers, G' }).press('End');
  await expect(page.getByTestId('ask')).toContainText('Ask 8 times');
  await page.getByTestId('ask').click();
  await expect
    .poll(() => lastRequest(page, 'ask'))
    .toMatchObject({ type: 'ask', num_generations: 8, label: 'B' });
  await expect(columns(page).first()).toContainText('Waiting for the prefix.');
  await streamFakeGroup(page, 8, 9);
  await expect(columns(page).first()).toContainText('I think it is left.Wait,');
  await expect(columns(page).nth(7)).toContainText('no answer yet');
  await endFakeGroup(page, 8, 9, true);

  await expect(columns(page).nth(0)).toContainText('+1.56');
  await expect(columns(page).nth(4)).toContainText('cut off');
  await expect(columns(page).nth(4)).toContainText('−2.00');
  await expect(columns(page).nth(4)).toContainText('<think> is never closed.');
  await expect(columns(page).nth(3)).toContainText('reward, highest');
  const summary = page.locator('.group-summary');
  await expect(summary).toContainText('5 of 8');
  await expect(summary).toContainText('B, down');
  await expect(summary).toContainText('604 tok/s');
  const advantages = await page.getByTestId('advantage').allTextContents();
  const sum = advantages.reduce((total, text) => total + Number(text.replace('−', '-')), 0);
  expect(Math.abs(sum)).toBeLessThan(0.05);

  await test.step('keys', async () => {
    await page.keyboard.press('r');
    expect(await numbers(page)).toEqual([4, 1, 8, 2, 6, 3, 7, 5]);
    await page.keyboard.press('r');
    expect(await numbers(page)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    await page.keyboard.press('4');
    await expect(page.getByRole('button', { name: /^Answer 4/ })).toBeFocused();
    await page.keyboard.press('ArrowRight');
    await expect(page.getByRole('button', { name: /^Answer 5/ })).toBeFocused();
    // From the fifth on, the next marked sentence is the eighth's.
    await page.keyboard.press('a');
    await expect(page.locator('[data-current]')).toHaveText('No, the first frame is the top one.');
    await page.keyboard.press('Shift+A');
    await expect(page.locator('[data-current]')).toHaveText('Hmm, check the last frame.');
    await expect(page.getByTestId('question')).toBeHidden();
    await page.keyboard.press('g');
    await expect(page.getByTestId('question')).toBeVisible();
    await expect(page.getByTestId('inspector')).toContainText('Hmm');
    await page.keyboard.press('g');
  });

  await test.step('layouts', async () => {
    await page.getByText('Differences', { exact: true }).click();
    // Answers 1, 5, 7 and 8 begin alike; the last of them leaves where it says "up".
    await expect(columns(page).nth(7).getByTestId('parting').last()).toContainText('1 with “left”');
    await expect(columns(page).nth(1)).toContainText('also in 1, 4, 6, 8');
    await page.getByText('Rows', { exact: true }).click();
    const first = await columns(page).nth(0).boundingBox();
    const second = await columns(page).nth(1).boundingBox();
    expect(second!.y).toBeGreaterThanOrEqual(first!.y + first!.height - 1);
    await page.getByText('Columns', { exact: true }).click();
  });

  await test.step('accessible', async () => {
    for (const layout of ['Rows', 'Differences']) {
      await page.getByText(layout, { exact: true }).click();
      expect(await axeProblems(page, { rules: 'every' }), layout).toEqual([]);
    }
  });

  await test.step('one alone, and back', async () => {
    await page.getByText('Columns', { exact: true }).click();
    await page.getByRole('button', { name: /^Answer 8/ }).click();
    await expect(page.getByTestId('think')).toContainText('I think it is up.');
    await expect(page.getByTestId('answer')).toContainText('reward +1.56');
    await page.getByTestId('think').getByText('No', { exact: true }).click();
    await expect(page.getByTestId('inspector')).toContainText('Token 8 of');
    await page.keyboard.press('2');
    await expect(page.getByTestId('think')).toContainText('It ends at the bottom.');
    await page.getByTestId('back-to-group').click();
    await expect(columns(page)).toHaveCount(8);
  });

  await test.step('on a phone', async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    expect((await columns(page).nth(0).boundingBox())!.width).toBeGreaterThan(280);
    expect(await page.getByTestId('group').evaluate((group) => group.scrollWidth)).toBeLessThanOrEqual(390);
  });
});

test('an answer is continued from another token, and the fork from yet another', async ({ page }) => {
  await readyToAsk(page);
  await page.getByTestId('ask').click();
  const origin = await lastId(page, 'ask');
  const { tokens, trace } = fakeAnswer();
  const stats = fakeStats(tokens.length);
  await emit(page, { type: 'tokens', id: origin, sample: 0, tokens, trace, stats });
  await page.getByTestId('think').getByText('Wait', { exact: true }).click();
  await expect(page.getByTestId('fork')).toBeDisabled();
  await expect(page.getByText('An answer is being written.').first()).toBeVisible();
  await emit(page, { type: 'answered', id: origin, sample: 0, trace, stats, reason: 'eos' });

  const choice = page.getByRole('button', { name: /␣The/ });
  await choice.click();
  await expect(choice).toHaveAttribute('aria-pressed', 'true');
  await expect(page.getByTestId('fork')).toHaveText('Continue from “The” instead');
  await page.keyboard.press('f');
  const shared = tokens.slice(0, 7).map(({ id }) => id);
  await expect
    .poll(() => lastRequest(page, 'ask'))
    .toMatchObject({
      type: 'ask',
      num_generations: 1,
      fork: { ask: origin, sample: 0, tokens: [...shared, 1008] },
    });
  const fork = await lastId(page, 'ask');
  await expect(page.getByTestId('fork-origin')).toContainText('Forked at token 8 from “Wait”');
  await expect(page.getByTestId('think').locator('[data-token="7"]')).toHaveText('The');
  await expect(page.getByTestId('think').locator('.shared')).toHaveCount(7);
  await expect(page.getByTestId('think').locator('.fork-mark')).toHaveCount(1);
  const rest = [' end', '.'].map((text, i) => ({ ...tokens[0]!, id: 900 + i, text }));
  const { answer: _, ...without } = trace;
  const forked = {
    ...without,
    sentences: [trace.sentences[0]!, { text: 'The end.', start: 7, end: 10 }],
  };
  await emit(page, { type: 'tokens', id: fork, sample: 0, tokens: rest, trace: forked, stats: fakeStats(2) });
  await emit(page, {
    type: 'answered',
    id: fork,
    sample: 0,
    trace: forked,
    stats: fakeStats(2),
    reason: 'eos',
  });
  await expect(page.getByTestId('think')).toContainText('The end.');

  await page.getByTestId('think').locator('[data-token="8"]').click();
  await page.keyboard.press('f');
  const again = await lastRequest(page, 'ask');
  expect(again).toMatchObject({
    fork: { ask: fork, sample: 0, tokens: [...shared, 1008, expect.any(Number)] },
  });
  await page.getByRole('button', { name: 'Show that answer' }).click();
  await expect(page.getByTestId('inspector')).toContainText('Token 9 of 10');
  await page.getByRole('button', { name: 'Show that answer' }).click();
  await expect(page.getByTestId('inspector')).toContainText('␣Wait');
});
