import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';

const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
/** The rules that look at colours: all that another theme can break. */
const COLOUR_RULES = ['color-contrast', 'link-in-text-block'];

/** What to look for, and what to leave out. */
export interface AxeOptions {
  /**
   * `wcag`, the default: the rules of WCAG 2.2 A and AA. `every`: axe's advice as well. `colours`: what another theme
   * can break of a page that was looked at in one.
   */
  rules?: 'wcag' | 'every' | 'colours';
  without?: readonly string[];
}

/** What axe finds wrong with the page as it is, one text a rule that is broken. */
export async function axeProblems(page: Page, options: AxeOptions = {}): Promise<string[]> {
  const { rules = 'wcag', without = [] } = options;
  // Colours that are still changing would be measured half-way.
  await page.evaluate(() =>
    Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {}))),
  );
  // The other mode opens a page at each call, to bring frames' results together: half the time where there are none.
  const alone = page.frames().length === 1;
  // What is in the page already need not be compiled again.
  const there = alone && (await page.evaluate('"axe" in window'));
  const axe = new AxeBuilder({ page, ...(there ? { axeSource: ';' } : {}) }).setLegacyMode(alone);
  axe.options({ resultTypes: ['violations'] });
  if (rules === 'colours') axe.withRules(COLOUR_RULES);
  if (rules === 'wcag') axe.withTags(TAGS);
  axe.disableRules([...without]);
  const { violations } = await axe.analyze();
  return violations.map(
    ({ id, help, nodes }) =>
      `${id}: ${help}: ${nodes.map(({ html, failureSummary }) => `${html}\n${failureSummary}`).join('\n')}`,
  );
}
