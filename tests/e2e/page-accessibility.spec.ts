import { expect, type Page, test } from '@playwright/test';
import { axeProblems } from './page-axe';
import {
  emit,
  fakeAnswer,
  fakeStats,
  installFakeEngine,
  lastId,
  loadFakeModel,
  readFakeVideo,
} from './page-fake-engine';

// The page's states under axe's rules for WCAG 2 A and AA, in both themes and on a phone.

const CLIP = { name: 'clip.mp4', mimeType: 'video/mp4', buffer: Buffer.from('only the engine reads this') };

type Check = (page: Page, state: string) => Promise<void>;

/** All rules in the light theme, and in the dark one those that look at colours: nothing else of the page differs. */
async function checkThemes(page: Page, state: string): Promise<void> {
  expect(await axeProblems(page), `${state}, light`).toEqual([]);
  await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' });
  expect(await axeProblems(page, { rules: 'colours' }), `${state}, dark`).toEqual([]);
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
}

async function checkPhone(page: Page, state: string): Promise<void> {
  // The bars at top and bottom cover what is scrolled under them; at the page's top nothing is half covered.
  await page.evaluate(() => scrollTo(0, 0));
  // A sheet may cut any target behind it in two; it can be closed, and `expectPhone` measures the targets themselves.
  const sheet = await page.locator('aside.sheet').isVisible();
  expect(await axeProblems(page, { without: sheet ? ['target-size'] : [] }), state).toEqual([]);
}

async function ask(page: Page, count: number, answers: number, label?: string): Promise<number> {
  await page.getByTestId('ask').click();
  const id = await lastId(page, 'ask');
  await emit(page, { type: 'ask-started', id, promptTokens: 164 });
  for (let sample = 0; sample < answers; sample++) {
    const { tokens, trace } = fakeAnswer(count);
    const stats = fakeStats(tokens.length);
    await emit(page, { type: 'tokens', id, sample, tokens, trace, stats });
    if (Number.isFinite(count)) continue;
    const reward = {
      reward: sample === 0 ? 1.21 : -0.58,
      accuracy: sample === 0 ? 1 : -1,
      format: 1,
      length: 0.21,
    };
    await emit(page, {
      type: 'answered',
      id,
      sample,
      trace,
      stats,
      reason: 'eos',
      ...(label ? { reward } : {}),
    });
  }
  if (!Number.isFinite(count)) {
    await emit(page, {
      type: 'ask-done',
      id,
      group: {
        prefixTokens: 164,
        prefillMs: 34,
        decodeMs: 400,
        newTokens: 37 * answers,
        tokensPerSecond: 212,
        kvBytes: 4_000_000,
        ...(label ? { advantages: Array.from({ length: answers }, (_, i) => (i === 0 ? 1.5 : -0.5)) } : {}),
      },
    });
  }
  return id;
}

async function states(page: Page, check: Check): Promise<void> {
  await installFakeEngine(page);
  await page.goto('./');
  await expect(page.getByTestId('gallery-item')).toHaveCount(8);
  await check(page, 'empty, the model loading');
  await loadFakeModel(page);
  await page.getByTestId('gallery-item').first().click();
  await expect(page.getByTestId('sample-question')).toBeVisible();
  await readFakeVideo(page, 5, false);
  await check(page, 'a video being read');
  await readFakeVideo(page);
  await expect(page.getByTestId('ask')).toBeEnabled();
  await ask(page, 26, 1);
  await expect(page.getByTestId('aha')).toHaveCount(1);
  await check(page, 'an answer streaming');
  await page.keyboard.press('Escape');
  const { tokens, trace } = fakeAnswer();
  const id = await lastId(page, 'ask');
  const stats = fakeStats(tokens.length);
  await emit(page, { type: 'tokens', id, sample: 0, tokens: tokens.slice(26), trace, stats });
  await emit(page, { type: 'answered', id, sample: 0, trace, stats, reason: 'eos' });
  await expect(page.getByTestId('answer')).toContainText('B');
  await page.keyboard.press('a');
  await check(page, 'an answer finished, a token pinned');
  for (const [key, name] of [
    ['m', 'Models'],
    ['?', 'Keys'],
  ] as const) {
    await page.keyboard.press(key);
    await expect(page.getByRole('dialog', { name })).toBeVisible();
    await check(page, `the dialog ${name}`);
    await page.keyboard.press('Escape');
    await expect(page.getByRole('dialog')).toHaveCount(0);
  }
  await page.getByRole('button', { name: 'Export this answer' }).first().click();
  await expect(page.getByRole('dialog', { name: 'Export' })).toBeVisible();
  await check(page, 'the dialog Export');
  await page.keyboard.press('Escape');
  // The GPU goes, and a file that cannot be read is chosen meanwhile: two messages.
  await emit(page, { type: 'device-lost', reason: 'The system took the GPU away.' });
  await expect(page.getByTestId('error')).toHaveCount(1);
  await page.getByTestId('video-input').setInputFiles({ ...CLIP, name: 'phone.mov' });
  await emit(page, {
    type: 'error',
    id: await lastId(page, 'open-video'),
    error: {
      scope: 'video',
      code: 'unsupported-codec',
      title: 'This video cannot be read here.',
      message: 'No HEVC.',
    },
  });
  await page.getByRole('button', { name: 'Show the ffmpeg line' }).click();
  await expect(page.getByTestId('error')).toHaveCount(2);
  await check(page, 'messages');
  await loadFakeModel(page);
  await readFakeVideo(page);
  await expect(page.getByText('We are back')).toBeVisible();
  for (let i = 0; i < 3; i++) await page.getByRole('button', { name: 'Answers, G: one more' }).click();
  await expect(page.getByTestId('ask')).toBeEnabled();
  await ask(page, Number.POSITIVE_INFINITY, 4, 'A');
  await expect(page.getByTestId('group')).toBeVisible();
  await check(page, 'a group of four answers');
}

test('light and dark', async ({ page }) => {
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
  await states(page, checkThemes);
});

test('what a browser without WebGPU shows', async ({ page }) => {
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
  await page.addInitScript(() => {
    Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined });
  });
  await page.goto('./');
  await page.getByRole('button', { name: 'Why' }).click();
  await expect(page.getByTestId('needs').getByText('WebCodecs')).toBeVisible();
  await checkThemes(page, 'what this page needs');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'See recorded answers' }).click();
  await expect(
    page.getByRole('button', { name: /In which direction does the yellow square move\?/ }).first(),
  ).toBeVisible();
  await checkThemes(page, 'the recorded answers');
});

test('a phone, where what is touched is large enough', async ({ page }) => {
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
  await page.setViewportSize({ width: 390, height: 844 });
  await states(page, checkPhone);
  await expectPhone(page);
  await page.reload();
  await loadFakeModel(page);
  await page.getByTestId('gallery-item').first().click();
  await expect(page.getByTestId('sample-question')).toBeVisible();
  await readFakeVideo(page);
  await page.getByRole('spinbutton', { name: 'Answers, G' }).press('Home');
  await ask(page, Number.POSITIVE_INFINITY, 1);
  await expect(page.getByTestId('answer')).toContainText('B');
  await expectPhone(page);
});

/** Nothing is wider than the phone, and what is touched has 44 px. Tokens are as large as their words. */
async function expectPhone(page: Page): Promise<void> {
  const { small, wide } = await page.evaluate(() => {
    const name = (target: Element) => {
      const { width, height, right } = target.getBoundingClientRect();
      return `${Math.round(width)}x${Math.round(height)} to ${Math.round(right)}: ${target.outerHTML.slice(0, 100)}`;
    };
    const targets = [
      ...document.querySelectorAll<HTMLElement>('button, select, textarea, input, summary, .seg > label'),
    ];
    return {
      small: targets
        .filter((target) => target.checkVisibility() && !target.matches('.hidden, [type=range], .opt input'))
        .filter((target) => target.getBoundingClientRect().height < 44)
        .map(name),
      wide:
        document.documentElement.scrollWidth > innerWidth
          ? [...document.querySelectorAll('#root *')]
              .filter(
                (element) =>
                  element.getBoundingClientRect().right > innerWidth &&
                  !element.closest('.gallery, .group-scroll'),
              )
              .map(name)
          : [],
    };
  });
  expect(wide).toEqual([]);
  expect(small).toEqual([]);
}
