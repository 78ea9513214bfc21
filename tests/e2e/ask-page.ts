import { test as base, expect, type Page } from '@playwright/test';

/** The Ask page with its real engine, and the errors that it threw. */
export interface AskPage {
  page: Page;
  errors: string[];
}

/**
 * Tests that use one visit of the Ask page, file after file: compiling its model takes most of a visit. Each test says
 * itself which clip, question and settings it has; the number of answers is one when it ends.
 */
export const test = base.extend<object, { askPage: AskPage }>({
  askPage: [
    async ({ browser }, use, { project }) => {
      const { baseURL = '', viewport = null } = project.use;
      const page = await browser.newPage({ baseURL, viewport });
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(error.message));
      await page.goto('./');
      await use({ page, errors });
      await page.close();
    },
    { scope: 'worker' },
  ],
});

test.afterEach(({ askPage }) => expect(askPage.errors).toEqual([]));
