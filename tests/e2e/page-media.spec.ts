import { expect, type Page, test } from '@playwright/test';
import type { EngineError, VideoInfo } from '../../src/worker/protocol';
import {
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

// Files, models and messages of the page that need no model: the test plays the engine's part.

const CLIP = { name: 'clip.mp4', mimeType: 'video/mp4', buffer: Buffer.from('only the engine reads this') };

/** Sends a real drop or paste event with a file in it. */
async function give(page: Page, type: 'drop' | 'paste', name: string): Promise<void> {
  await page.evaluate(
    ({ type, name }) => {
      const data = new DataTransfer();
      data.items.add(new File(['only the engine reads this'], name, { type: 'video/mp4' }));
      const options = { bubbles: true, cancelable: true };
      const event =
        type === 'drop'
          ? new DragEvent('drop', { ...options, dataTransfer: data })
          : new ClipboardEvent('paste', { ...options, clipboardData: data });
      document.body.dispatchEvent(event);
      if (!event.defaultPrevented) throw new Error(`The page left the ${type} to the browser.`);
    },
    { type, name },
  );
}

async function fail(page: Page, id: number, error: EngineError): Promise<void> {
  await emit(page, { type: 'error', id, error });
}

const MODEL_ERROR: EngineError = {
  scope: 'model',
  code: 'checkpoint',
  title: 'The model could not be loaded.',
  message: 'config.json is missing.',
};

const INFO: VideoInfo = {
  name: 'long.mp4',
  codec: 'avc1.64001f',
  width: 1920,
  height: 1080,
  durationSeconds: 90,
  frameCount: 2700,
  sampledTimes: Array.from({ length: 64 }, (_, i) => i),
};

test.beforeEach(async ({ page }) => {
  await installFakeEngine(page);
  await page.goto('./');
});

test('a file that is dropped or pasted is read, and kept while no model is loaded', async ({ page }) => {
  await fail(page, await lastId(page, 'load-model'), MODEL_ERROR);
  await expect(page.getByTestId('error')).toContainText('config.json is missing.');
  await give(page, 'drop', 'dropped.mp4');
  await expect(page.getByRole('heading', { name: 'dropped.mp4' })).toBeVisible();
  await expect(page.getByText('Kept until a model is loaded')).toBeVisible();
  expect((await requests(page)).map(({ type }) => type)).toEqual(['load-model']);
  await page.getByRole('button', { name: 'Load the model again' }).click();
  expect((await requests(page)).map(({ type }) => type)).toEqual(['load-model', 'load-model', 'open-video']);
  // The second load fails too: the engine then cannot read the video either, and the file is still kept.
  await fail(page, await lastId(page, 'load-model'), MODEL_ERROR);
  await fail(page, await lastId(page, 'open-video'), { ...MODEL_ERROR, scope: 'video', code: 'failed' });
  await expect(page.getByText('Kept until a model is loaded')).toBeVisible();
  await expect(page.getByTestId('error')).toHaveCount(1);
  await page.getByRole('button', { name: 'Load the model again' }).click();
  await loadFakeModel(page);
  await readFakeVideo(page);
  await page.getByTestId('question').fill('What moves?');
  await expect(page.getByTestId('ask')).toBeEnabled();

  await give(page, 'paste', 'pasted.mp4');
  await expect(page.getByRole('heading', { name: 'pasted.mp4' })).toBeVisible();
  await emit(page, {
    type: 'progress',
    scope: 'video',
    id: await lastId(page, 'open-video'),
    label: 'Scanning the file',
    done: 30,
    total: 100,
  });
  await expect(page.getByText('Scanning the file, 30 %')).toBeVisible();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await expect.poll(() => lastRequest(page, 'cancel-video')).toEqual({ type: 'cancel-video' });
  await expect(page.getByRole('heading', { name: 'dropped.mp4' })).toBeVisible();
  await expect(page.getByTestId('ask')).toBeEnabled();
});

test('frames one a second: asked for, remembered, and 64 of a wide video scroll', async ({ page }) => {
  await loadFakeModel(page);
  await page.getByText('1 per second').click();
  await page.getByTestId('video-input').setInputFiles(CLIP);
  const id = await lastId(page, 'open-video');
  await expect
    .poll(() => lastRequest(page, 'open-video'))
    .toMatchObject({ type: 'open-video', sampling: '1fps' });
  await emit(page, { type: 'video-info', id, video: INFO });
  await emit(page, { type: 'video-ready', id, readMs: 1, encodeMs: 1 });
  const strip = page.getByTestId('frame-strip');
  await expect(strip.getByRole('button')).toHaveCount(64);
  const { width, inner, height } = await strip.evaluate((list) => ({
    width: list.clientWidth,
    inner: list.scrollWidth,
    height: list.clientHeight,
  }));
  expect(inner).toBeGreaterThan(width);
  expect(height).toBeLessThan(120);
  // The model's own number of frames: the same file is read again.
  await page.getByText('8 even').click();
  await expect.poll(() => lastRequest(page, 'open-video')).not.toHaveProperty('sampling');
  expect(await lastId(page, 'open-video')).toBeGreaterThan(id);
  await page.getByText('1 per second').click();
  await page.reload();
  await expect(page.getByRole('radio', { name: '1 per second' })).toBeChecked();
});

test('messages have their ways out: codec, cut-off file, memory', async ({ page }) => {
  await loadFakeModel(page);
  await page.getByTestId('video-input').setInputFiles({ ...CLIP, name: "it's.mov" });
  await fail(page, await lastId(page, 'open-video'), {
    scope: 'video',
    code: 'unsupported-codec',
    title: 'This video cannot be read here.',
    message: 'Your browser has no decoder for HEVC (hvc1).',
  });
  await expect(page.getByRole('button', { name: 'Choose another video' })).toBeVisible();
  await page.getByRole('button', { name: 'Show the ffmpeg line' }).click();
  await expect(page.locator('.command code')).toHaveText(
    "ffmpeg -i './it'\\''s.mov' -c:v libx264 -pix_fmt yuv420p -movflags +faststart './it'\\''s-h264.mp4'",
  );

  await page.getByTestId('video-input').setInputFiles(CLIP);
  await emit(page, {
    type: 'video-info',
    id: await lastId(page, 'open-video'),
    video: {
      ...INFO,
      sampledTimes: [0, 1],
      warning: 'The video stops early: the file says 12.0 s, but only 7.4 s can be read.',
      truncation: { declaredSeconds: 12, readableSeconds: 7.4 },
    },
  });
  await emit(page, { type: 'video-ready', id: await lastId(page, 'open-video'), readMs: 1, encodeMs: 1 });
  await expect(page.getByTestId('error')).toHaveCount(0);
  await expect(page.getByTestId('warning')).toContainText('The file says 12.0 s');
  await page.getByTestId('question').fill('What moves?');
  await page.getByRole('button', { name: 'Ask with 7.4 s' }).click();
  await fail(page, await lastId(page, 'ask'), {
    scope: 'ask',
    code: 'out-of-memory',
    title: 'Not enough GPU memory for 8 answers.',
    message: '5 answers fit, or 8 answers of 640 tokens.',
    suggestions: { num_generations: 5, max_new_tokens: 640 },
  });
  await expect(page.getByRole('button', { name: 'Use 5 answers' })).toBeVisible();
  await page.getByRole('button', { name: 'Use 640 tokens' }).click();
  await expect(page.getByTestId('error')).toHaveCount(0);
  await expect
    .poll(() => lastRequest(page, 'ask'))
    .toMatchObject({ type: 'ask', settings: { max_new_tokens: 640 } });
});

test('a link that is damaged is said to be, field by field', async ({ page }) => {
  await page.goto('./#ask?clip=race.mp4&q=Which+one%3F&o=a&o=b&seed=x&temperature=0.5');
  await expect(page.getByTestId('error').or(page.getByTestId('warning'))).toContainText(
    'Its seed cannot be used',
  );
  await expect(page.getByTestId('question')).toHaveValue('Which one?');
  await expect(page.getByLabel('Temperature')).toHaveValue('0.5');
  await expect(page.getByRole('heading', { name: 'race.mp4' })).toBeVisible();
  await page.goto('./#ask?clip=..%2Fsecret&q=Which+other%3F');
  await expect(page.getByText('This link cannot be opened.')).toBeVisible();
  await expect(page.getByTestId('question')).toHaveValue('Which one?');
});

test('an answer is exported as it stands', async ({ page, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await loadFakeModel(page);
  await page.getByTestId('video-input').setInputFiles(CLIP);
  await readFakeVideo(page);
  await page.getByTestId('question').fill('Which way?');
  await page.getByTestId('ask').click();
  const id = await lastId(page, 'ask');
  const { tokens, trace } = fakeAnswer();
  const stats = fakeStats(tokens.length);
  await emit(page, { type: 'ask-started', id, promptTokens: 164 });
  await emit(page, { type: 'tokens', id, sample: 0, tokens, trace, stats });
  await emit(page, { type: 'answered', id, sample: 0, trace, stats, reason: 'eos' });
  await page.getByRole('button', { name: 'Export this answer' }).first().click();
  const dialog = page.getByRole('dialog', { name: 'Export' });
  const downloading = page.waitForEvent('download');
  await dialog.getByRole('button', { name: 'Download JSON' }).click();
  const download = await downloading;
  expect(download.suggestedFilename()).toBe(`clip-answer-${id}.json`);
  const chunks: Buffer[] = [];
  for await (const chunk of await download.createReadStream()) chunks.push(Buffer.from(chunk));
  const document = JSON.parse(Buffer.concat(chunks).toString());
  expect(document).toMatchObject({
    format: 'tinyllava-video-r1-playground/trace',
    version: 1,
    model: { name: 'Toy model', backend: 'ort' },
    adapter: { vendor: 'test', f16: true },
    video: { name: 'clip.mp4', sampling: 'uniform', width: 256 },
    question: { text: 'Which way?' },
    promptTokens: 164,
    samples: [{ reason: 'eos', trace: { answer: 'B' } }],
  });
  expect(document.samples[0].tokens).toHaveLength(tokens.length);
  await dialog.getByRole('button', { name: 'Copy Markdown' }).click();
  await expect(dialog.getByText('Copied')).toBeVisible();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toContain('**Answer:** B');
  // This clip is the user's own: nobody else could open a link to it.
  await expect(dialog).toContainText('only about a clip of the gallery');
});
