import { expect, type Page, test } from '@playwright/test';
import {
  crash,
  emit,
  fakeAnswer,
  fakeStats,
  installFakeEngine,
  lastId,
  lastRequest,
  loadFakeModel,
  readFakeVideo,
  requests,
} from './page-fake-engine';

// States of the page that need no model: the test plays the engine's part.

const NOT_PLAYABLE = {
  name: 'clip.mp4',
  mimeType: 'video/mp4',
  buffer: Buffer.from('only the engine reads this'),
};

async function openPage(page: Page): Promise<void> {
  await installFakeEngine(page);
  await page.goto('./');
}

async function ready(page: Page): Promise<void> {
  await openPage(page);
  await loadFakeModel(page);
  await page.getByTestId('video-input').setInputFiles(NOT_PLAYABLE);
  await readFakeVideo(page);
  await page.getByTestId('question').fill('Which way does the red circle move?');
  for (const [letter, text] of [
    ['A', 'left'],
    ['B', 'down'],
  ] as const) {
    await page.getByLabel(`Option ${letter}`, { exact: true }).fill(text);
  }
  await expect(page.getByTestId('ask')).toBeEnabled();
}

async function answer(page: Page, count?: number): Promise<number> {
  await page.getByTestId('ask').click();
  const id = await lastId(page, 'ask');
  const { tokens, trace } = fakeAnswer(count);
  await emit(page, { type: 'ask-started', id, promptTokens: 164 });
  await emit(page, { type: 'tokens', id, sample: 0, tokens, trace, stats: fakeStats(tokens.length) });
  if (count === undefined) {
    await emit(page, {
      type: 'answered',
      id,
      sample: 0,
      trace,
      stats: fakeStats(tokens.length),
      reason: 'eos',
    });
  }
  return id;
}

test('without WebGPU the page says so and starts no engine', async ({ page }) => {
  await page.addInitScript(() => {
    Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined });
  });
  await page.goto('./');
  await expect(page.getByTestId('error')).toContainText('This browser has no WebGPU');
  await expect(page.getByTestId('ask')).toBeDisabled();
  expect(page.workers()).toHaveLength(0);
});

test('Ask says why it is off, one reason after the other', async ({ page }) => {
  await openPage(page);
  const blocker = page.locator('#ask-blocker');
  await expect(page.getByTestId('ask')).toBeDisabled();
  await expect(blocker).toHaveText('Open a video or take a sample clip first.');
  await page.getByTestId('video-input').setInputFiles(NOT_PLAYABLE);
  await expect(blocker).toHaveText('Write a question first.');
  await page.getByTestId('question').fill('What moves?');
  await expect(blocker).toHaveText('The model is still loading.');
  await loadFakeModel(page);
  await expect(blocker).toHaveText('The video is still being read.');
  await readFakeVideo(page);
  await expect(blocker).toBeHidden();
  await expect(page.getByTestId('ask')).toBeEnabled();
  await page.getByLabel('Option B', { exact: true }).fill('down');
  await expect(blocker).toHaveText('Fill option A, or remove it.');
});

test('frames fill in one by one, with their times', async ({ page }) => {
  await openPage(page);
  await loadFakeModel(page);
  await page.getByTestId('video-input').setInputFiles(NOT_PLAYABLE);
  await readFakeVideo(page, 5, false);
  await expect(page.getByText('Reading frame 5 of 8, 63 %')).toBeVisible();
  await expect(page.getByTestId('frame-strip').getByRole('button')).toHaveCount(8);
  await expect(page.getByTestId('frame-strip').locator('canvas')).toHaveCount(5);
  await expect(page.getByTestId('frame-strip')).toContainText('1.75 s');
});

test('an answer streams, is marked, and can be looked into', async ({ page }) => {
  await ready(page);
  const id = await answer(page, 26);
  await expect(page.getByRole('heading', { name: 'Thinking' })).toBeVisible();
  await expect(page.getByTestId('think')).toContainText('Wait, let me look again.');
  await expect(page.getByTestId('aha')).toHaveCount(1);
  await expect(page.getByTestId('answer')).toBeHidden();
  await expect(page.getByTestId('stats')).toContainText('84 ms');
  await expect(page.getByTestId('ask')).toBeHidden();
  const rest = fakeAnswer();
  await emit(page, {
    type: 'tokens',
    sample: 0,
    id,
    tokens: rest.tokens.slice(26),
    trace: rest.trace,
    stats: fakeStats(rest.tokens.length),
  });
  await emit(page, {
    type: 'answered',
    sample: 0,
    id,
    trace: rest.trace,
    stats: fakeStats(rest.tokens.length),
    reason: 'eos',
  });
  await expect(page.getByTestId('answer')).toContainText('B');
  await expect(page.getByTestId('answer')).toContainText('down');
  await expect(page.getByTestId('aha')).toHaveCount(2);
  // No label was given, so nothing is said of right or wrong.
  await expect(page.getByText('matches label')).toBeHidden();

  const inspector = page.getByTestId('inspector');
  await page.getByTestId('think').getByText('Wait', { exact: true }).click();
  await expect(inspector).toContainText('Token 8 of 37');
  await expect(inspector).toContainText('␣Wait');
  await page.keyboard.press('ArrowRight');
  await expect(inspector).toContainText('Token 9 of 37');
  await page.keyboard.press('a');
  await expect(inspector).toContainText('Token 29 of 37');
  await page.keyboard.press('Shift+A');
  await expect(inspector).toContainText('Token 8 of 37');
});

test('keys ask and stop, and a stopped answer says where', async ({ page }) => {
  await ready(page);
  await page.getByTestId('question').press('Control+Enter');
  await expect(page.getByTestId('stop')).toBeVisible();
  const id = await lastId(page, 'ask');
  const { tokens, trace } = fakeAnswer(12);
  await emit(page, { type: 'tokens', id, sample: 0, tokens, trace, stats: fakeStats(12) });
  await page.keyboard.press('Escape');
  await expect.poll(() => lastRequest(page, 'stop')).toEqual({ type: 'stop' });
  await emit(page, { type: 'answered', id, sample: 0, trace, stats: fakeStats(12), reason: 'stopped' });
  await expect(page.getByText('Stopped by you at token 12.')).toBeVisible();
  await expect(page.getByTestId('think')).toContainText('Wait, let me');
  await expect(page.getByTestId('ask')).toBeEnabled();
});

test('an unreadable file leaves the video before it open, and the question', async ({ page }) => {
  await ready(page);
  await page.getByTestId('video-input').setInputFiles({ ...NOT_PLAYABLE, name: 'broken.mp4' });
  await emit(page, {
    type: 'error',
    id: await lastId(page, 'open-video'),
    error: {
      scope: 'video',
      code: 'not-a-video',
      title: 'This is no video.',
      message: 'Choose another file.',
    },
  });
  await expect(page.getByTestId('error')).toContainText('Choose another file. clip.mp4 stays open.');
  await expect(page.getByTestId('question')).toHaveValue('Which way does the red circle move?');
  await expect(page.getByTestId('ask')).toBeEnabled();
});

test('a lost GPU is named, the video is read again, and asking goes on', async ({ page }) => {
  await ready(page);
  await answer(page, 12);
  await emit(page, { type: 'device-lost', reason: 'The system took the GPU away.' });
  await expect(page.getByTestId('error')).toContainText('The model is loading again');
  await expect(page.getByTestId('think')).toContainText('Wait, let me');
  await loadFakeModel(page);
  await expect(page.getByTestId('ask')).toBeDisabled();
  await readFakeVideo(page);
  await expect(page.getByTestId('error')).toContainText('We are back');
  await page.getByRole('button', { name: 'Ask again' }).click();
  await expect.poll(() => lastRequest(page, 'ask')).toMatchObject({ type: 'ask' });
  await expect(page.getByTestId('error')).toBeHidden();
});

test('a video that was being read when the GPU was lost is sent again', async ({ page }) => {
  await openPage(page);
  await loadFakeModel(page);
  await page.getByTestId('video-input').setInputFiles(NOT_PLAYABLE);
  const before = (await requests(page)).length;
  await emit(page, { type: 'device-lost', reason: 'The system took the GPU away.' });
  await expect
    .poll(async () => (await requests(page)).slice(before).map(({ type }) => type))
    .toEqual(['open-video']);
  await loadFakeModel(page);
  await readFakeVideo(page);
  await expect(page.getByTestId('error')).toContainText('We are back');
});

test('a bad file during recovery does not lose the video before it', async ({ page }) => {
  await ready(page);
  await emit(page, { type: 'device-lost', reason: 'The system took the GPU away.' });
  // Events reach the page with its next frame: the file comes after that.
  await expect(page.getByTestId('error')).toContainText('The model is loading again');
  await page.getByTestId('video-input').setInputFiles({ ...NOT_PLAYABLE, name: 'broken.mp4' });
  const failed = await lastId(page, 'open-video');
  await emit(page, {
    type: 'error',
    id: failed,
    error: {
      scope: 'video',
      code: 'not-a-video',
      title: 'This is no video.',
      message: 'Choose another file.',
    },
  });
  await expect.poll(async () => lastId(page, 'open-video')).toBeGreaterThan(failed);
  await loadFakeModel(page);
  await readFakeVideo(page);
  await expect(page.getByRole('heading', { name: 'clip.mp4' })).toBeVisible();
  await expect(page.getByTestId('ask')).toBeEnabled();
});

test('an engine that ends can be started again with the same video', async ({ page }) => {
  await ready(page);
  await crash(page, 'out of memory');
  await expect(page.getByTestId('error')).toContainText('out of memory');
  await expect(page.getByTestId('ask')).toBeDisabled();
  const before = (await requests(page)).length;
  await page.getByRole('button', { name: 'Load the model again' }).click();
  expect((await requests(page)).slice(before).map(({ type }) => type)).toEqual(['load-model', 'open-video']);
  await loadFakeModel(page);
  await readFakeVideo(page);
  await expect(page.getByTestId('ask')).toBeEnabled();
});

test('model output, file names and questions are shown as text', async ({ page }) => {
  await openPage(page);
  await loadFakeModel(page);
  const markup = '<img src=x onerror="window.broken=1">';
  await page.getByTestId('video-input').setInputFiles({ ...NOT_PLAYABLE, name: `${markup}.mp4` });
  await readFakeVideo(page);
  await page.getByTestId('question').fill(markup);
  await page.getByTestId('ask').click();
  const id = await lastId(page, 'ask');
  const { tokens } = fakeAnswer(1);
  const evil = [tokens[0]!, { ...tokens[0]!, text: markup }];
  await emit(page, {
    type: 'tokens',
    sample: 0,
    id,
    tokens: evil,
    trace: {
      phase: 'think',
      text: markup,
      sentences: [{ text: markup, start: 1, end: 2, aha: { kind: 'checks', rule: markup, label: markup } }],
      problems: [],
    },
    stats: fakeStats(2),
  });
  await expect(page.getByTestId('think')).toContainText(markup);
  expect(await page.locator('#root img[src="x"]').count()).toBe(0);
  expect(await page.evaluate(() => 'broken' in window)).toBe(false);
});

test('question, settings and theme survive a reload', async ({ page }) => {
  await ready(page);
  await page.getByLabel('Max tokens').fill('64');
  await page.getByLabel('Temperature').fill('-3');
  await expect(page.getByText('A number from 0 to 5.')).toBeVisible();
  await page.getByRole('button', { name: /^Theme: system/ }).click();
  await page.getByRole('button', { name: /^Theme: light/ }).click();
  await page.reload();
  await expect(page.getByTestId('question')).toHaveValue('Which way does the red circle move?');
  await expect(page.getByLabel('Option B', { exact: true })).toHaveValue('down');
  await expect(page.getByLabel('Max tokens')).toHaveValue('64');
  await expect(page.getByLabel('Temperature')).toHaveValue('1');
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
});
