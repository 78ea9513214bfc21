import { expect, test } from '@playwright/test';
import { lastRequest, loadFakeModel, requests } from './page-fake-engine';
import { emitTraining, fakeData, fakeRun } from './page-fake-training';
import { axe, openTrain, shot } from './page-train-support';

// Where a run's questions come from. The test plays the engine: no number here is a model's.

test('a folder of videos is asked for again after a reload, by its handle where there is one', async ({
  page,
}) => {
  await page.addInitScript(() => {
    if (window !== window.top) return;
    const prototype = FileSystemHandle.prototype as unknown as Record<string, () => Promise<string>>;
    // As for a folder on disk, whose permission ends with the page.
    prototype.queryPermission = async () => 'prompt';
    prototype.requestPermission = async () => {
      const { permission = 'denied' } = window as unknown as { permission?: string };
      return permission;
    };
    Object.assign(window, {
      async showDirectoryPicker() {
        const root = await navigator.storage.getDirectory();
        const folder = await root.getDirectoryHandle('NExTVideo', { create: true });
        const inner = await folder.getDirectoryHandle('1164', { create: true });
        await inner.getFileHandle('32.mp4', { create: true });
        return folder;
      },
    });
  });
  await openTrain(page);
  await page.getByTestId('data-choice').getByRole('combobox').selectOption('files');
  const buffer = Buffer.from('{}');
  await page.getByTestId('questions-file').setInputFiles({ name: 'q.jsonl', mimeType: 'text/plain', buffer });
  await page.getByRole('button', { name: 'Video folder' }).click();
  await expect(page.getByRole('button', { name: 'NExTVideo, 1 files' })).toBeVisible();
  await page.getByTestId('start-run').click();
  const started = await lastRequest(page, 'start-run');
  expect(started.data).toMatchObject({ folder: 'NExTVideo', paths: ['NExTVideo/1164/32.mp4'] });
  const summary = { data: 'files', folder: 'NExTVideo' } as const;
  const run = fakeRun('r1', 'Run 1', { ...summary, state: 'paused', step: 60, saved_step: 60 });
  const { config } = started;
  await emitTraining(page, { type: 'run-started', id: started.id, run, config });
  const kept = () =>
    page.evaluate(
      () =>
        new Promise<number>((resolve) => {
          const opening = indexedDB.open('train', 1);
          opening.onsuccess = () => {
            const counting = opening.result.transaction('folders').objectStore('folders').count();
            counting.onsuccess = () => resolve(counting.result);
          };
        }),
    );
  await expect.poll(kept).toBe(1);

  const reload = async () => {
    await page.reload();
    await loadFakeModel(page);
    await expect
      .poll(async () => (await requests(page)).map(({ type }) => type as string))
      .toContain('list-runs');
    await emitTraining(page, {
      type: 'runs',
      id: (await lastRequest(page, 'list-runs')).id,
      runs: [run],
    });
    await expect
      .poll(async () => (await requests(page)).map(({ type }) => type as string))
      .toContain('read-run');
    await emitTraining(page, fakeData((await lastRequest(page, 'read-run')).id, run, config, 60));
  };
  await reload();
  const message = page.getByTestId('run-message');
  await expect(message).toContainText('the browser remembers the folder NExTVideo');
  await shot(page, 'folder-again');
  await page.getByRole('button', { name: 'Allow reading NExTVideo' }).click();
  await expect(page.getByTestId('train-error')).toContainText('The folder NExTVideo may not be read.');
  await page.evaluate(() => Object.assign(window, { permission: 'granted' }));
  await page.getByRole('button', { name: 'Go on' }).click();
  await expect
    .poll(() => lastRequest(page, 'resume-run'))
    .toMatchObject({
      type: 'resume-run',
      run: 'r1',
      videos: { folder: 'NExTVideo', paths: ['NExTVideo/1164/32.mp4'] },
    });

  await page.evaluate(() => indexedDB.deleteDatabase('train'));
  await reload();
  await expect(message).toContainText('Choose the folder that it began with, NExTVideo');
  await message.getByRole('button', { name: 'Choose the folder' }).click();
  await expect.poll(() => lastRequest(page, 'resume-run')).toMatchObject({ type: 'resume-run', run: 'r1' });
});

test('data of one’s own, and a reward of one’s own in its sandbox', async ({ page }) => {
  const problems: string[] = [];
  await page.exposeFunction('reportViolation', (what: string) => problems.push(what));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) =>
      (window as unknown as { reportViolation: (what: string) => void }).reportViolation(
        `${effectiveDirective} ${blockedURI}`,
      ),
    );
  });
  await openTrain(page);
  await page.getByTestId('data-choice').getByRole('combobox').selectOption('files');
  await page.getByTestId('questions-file').setInputFiles({
    name: 'nextqa.jsonl',
    mimeType: 'application/jsonl',
    buffer: Buffer.from('{}'),
  });
  await expect(page.getByText('Choose the JSONL file and the video folder.')).toBeVisible();
  await page.getByTestId('videos-folder').setInputFiles('tests/fixtures/video/scripts');
  await expect
    .poll(async () => (await requests(page)).map(({ type }) => type as string))
    .toContain('check-data');
  await emitTraining(page, {
    type: 'data-report',
    id: (await lastRequest(page, 'check-data')).id,
    report: {
      usable: 812,
      total: 830,
      held_out: 40,
      problems: [
        { line: 7, code: 'missing-video', message: 'The video <b>cat.mp4</b> is not in the folder.' },
      ],
      problem_count: 18,
    },
  });
  await expect(page.getByTestId('data-report')).toContainText(
    '812 of 830 questions can be used, 40 held out',
  );
  await page.getByText('18 lines left out').click();
  await expect(page.getByTestId('data-report')).toContainText(
    'The video <b>cat.mp4</b> is not in the folder.',
  );
  await shot(page, 'files');

  await page.getByTestId('data-choice').getByRole('combobox').selectOption('own');
  const form = page.getByTestId('own-questions');
  await form.getByTestId('own-clip').setInputFiles('tests/fixtures/video/vp9.mp4');
  await form.getByLabel('Question', { exact: true }).fill('What falls?');
  await form.getByLabel('Option A').fill('a cup');
  await form.getByRole('button', { name: 'Add the question' }).click();
  await expect(form).toContainText('Write at least two options, without gaps.');
  await form.getByLabel('Option B').fill('a plate');
  await form.getByLabel('B is right').check();
  await shot(page, 'own');
  await form.getByRole('button', { name: 'Add the question' }).click();
  await expect(form).toContainText('What falls?');
  const saved = page.waitForEvent('download');
  await form.getByRole('button', { name: 'JSONL' }).click();
  const lines = await (await saved).createReadStream().then(async (stream) => {
    let text = '';
    for await (const chunk of stream) text += chunk;
    return text;
  });
  expect(JSON.parse(lines)).toEqual({
    problem: 'What falls?\nOptions:\nA. a cup\nB. a plate',
    solution: '<answer>B</answer>',
    video_filename: 'vp9.mp4',
  });

  await page.getByLabel('Use user_reward').check();
  const editor = page.getByTestId('reward-editor');
  await editor.getByRole('button', { name: 'Try it' }).click();
  await expect(page.getByTestId('reward-tried').locator('b')).toHaveText(['+1.00', '+1.00', '0.00', '0.00']);
  await editor.getByRole('textbox').fill('(completion) => completion.missing.length');
  await editor.getByRole('button', { name: 'Try it' }).click();
  await expect(page.getByTestId('reward-tried')).toContainText('on 4 of 4 answers');
  await shot(page, 'reward');
  await axe(page, 'own data and reward');
  await emitTraining(page, {
    type: 'score-answers',
    call: 3,
    code: '(completion, { tokens }) => completion.length + tokens',
    answers: [{ text: 'abc', problem: '', solution: 'A', tokens: 2 }],
  });
  await expect
    .poll(() => lastRequest(page, 'scores'))
    .toMatchObject({ type: 'scores', call: 3, scores: [5] });

  // What was written outlives a reload; the clip cannot.
  await page.reload();
  await expect(form).toContainText(
    '1 question is kept from before, without the clips: choose vp9.mp4 again.',
  );
  await shot(page, 'own-lost');
  await form.getByLabel('Clips of earlier questions').setInputFiles('tests/fixtures/video/vp9.mp4');
  await expect(form).toContainText('What falls?');
  await expect(page.getByTestId('lost-clips')).toHaveCount(0);
  expect(problems).toEqual([]);
});
