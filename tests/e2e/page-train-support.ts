import AxeBuilder from '@axe-core/playwright';
import { expect, type Page } from '@playwright/test';
import { installFakeEngine, loadFakeModel, requests } from './page-fake-engine';
import { emitTraining, type fakeRun, lastTraining } from './page-fake-training';

const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

/** Looks for what axe finds wrong with the page as it is. */
export async function axe(page: Page, state: string): Promise<void> {
  // Colours that are still changing would be measured half-way.
  await page.evaluate(() =>
    Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {}))),
  );
  const { violations } = await new AxeBuilder({ page }).withTags(TAGS).analyze();
  const found = violations.map(
    ({ id, help, nodes }) =>
      `${id}: ${help}: ${nodes.map(({ html, failureSummary }) => `${html}\n${failureSummary}`).join('\n')}`,
  );
  expect.soft(found, state).toEqual([]);
}

/** A picture of the page, where `SHOTS` names a folder for them. */
export async function shot(page: Page, name: string): Promise<void> {
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${name}.png` });
}

/** Opens the Train page with a model of the fake engine, and lists runs. */
export async function openTrain(page: Page, runs: ReturnType<typeof fakeRun>[] = []): Promise<void> {
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
  await installFakeEngine(page);
  await page.goto('./#train');
  await loadFakeModel(page);
  await expect
    .poll(async () => (await requests(page)).map(({ type }) => type as string))
    .toContain('list-runs');
  await emitTraining(page, { type: 'runs', id: (await lastTraining(page, 'list-runs')).id, runs });
}
