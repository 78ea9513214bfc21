import { expect, type Page } from '@playwright/test';
import { type AxeOptions, axeProblems } from './page-axe';
import { installFakeEngine, lastRequest, loadFakeModel, requests } from './page-fake-engine';
import { emitTraining, type fakeRun } from './page-fake-training';

/** Looks for what axe finds wrong with the page as it is. */
export async function axe(page: Page, state: string, rules?: AxeOptions['rules']): Promise<void> {
  expect.soft(await axeProblems(page, rules ? { rules } : {}), state).toEqual([]);
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
  await emitTraining(page, { type: 'runs', id: (await lastRequest(page, 'list-runs')).id, runs });
}
