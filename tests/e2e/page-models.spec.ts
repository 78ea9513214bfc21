import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, type Page, test } from '@playwright/test';
import type { EngineError } from '../../src/worker/protocol';
import { emit, installFakeEngine, lastId, lastRequest, loadFakeModel, requests } from './page-fake-engine';
import { KEPT, planOf } from './page-fake-plan';

// The models dialog: lists, plans and loads that need no model. The test plays the engine's part.

async function fail(page: Page, id: number, error: EngineError): Promise<void> {
  await emit(page, { type: 'error', id, error });
}

const MODEL_ERROR: EngineError = {
  scope: 'model',
  code: 'checkpoint',
  title: 'The model could not be loaded.',
  message: 'config.json is missing.',
};

test.beforeEach(async ({ page }) => {
  await installFakeEngine(page);
  await page.goto('./');
});

test('models: by address, from a folder, remembered, and back to the toy model', async ({ page }) => {
  await loadFakeModel(page);
  await page.keyboard.press('m');
  const dialog = page.getByRole('dialog', { name: 'Models' });
  await expect(dialog).toContainText('1.63 M');
  const address = dialog.getByLabel('From the hub, or an address');
  await address.fill('http://example.com/model');
  await address.press('Enter');
  await expect(dialog).toContainText(
    'Models are loaded over https, from this computer, or from this page’s own host.',
  );
  // An empty field is the published model's.
  await address.fill('');
  await address.press('Enter');
  const published = 'https://huggingface.co/Zhang199/TinyLLaVA-Video-R1/resolve/main/';
  expect(await lastRequest(page, 'plan-model')).toMatchObject({ source: { kind: 'url', url: published } });
  await dialog.getByLabel('Hub', { exact: true }).fill('http://127.0.0.1:9/mirror');
  await address.fill('owner/a-model@v2');
  await address.press('Enter');
  const source = { kind: 'url', url: 'http://127.0.0.1:9/mirror/owner/a-model/resolve/v2/' };
  await expect
    .poll(() => lastRequest(page, 'plan-model'))
    .toMatchObject({ source, size: { num_generations: 1 } });
  await fail(page, (await lastRequest(page, 'plan-model')).id, MODEL_ERROR);
  await expect(dialog.getByTestId('error')).toContainText('config.json is missing. Toy model stays loaded.');
  expect(await lastRequest(page, 'load-model')).toMatchObject({ name: 'Toy model' });
  // A small one is loaded at once.
  await dialog.getByRole('button', { name: 'Try again' }).click();
  await emit(page, { type: 'model-plan', id: (await lastRequest(page, 'plan-model')).id, plan: planOf(4e6) });
  expect(await lastRequest(page, 'load-model')).toMatchObject({ name: 'a-model', source, keep: true });
  expect(await lastRequest(page, 'load-model')).not.toHaveProperty('precision');
  await dialog.getByRole('button', { name: 'Cancel and delete' }).click();
  await expect.poll(() => lastRequest(page, 'cancel-load')).toMatchObject({ discard: true });
  await fail(page, await lastId(page, 'load-model'), MODEL_ERROR);
  await expect(dialog.getByTestId('error')).toContainText('config.json is missing.');
  // Files one by one: what is missing is named until all is there.
  const loose = dialog.getByTestId('loose-files');
  const pick = (...names: string[]) =>
    dialog
      .getByLabel('Model files')
      .setInputFiles(names.map((name) => ({ name, mimeType: '', buffer: Buffer.from('{}') })));
  await pick('config.json', 'model-00001-of-00002.safetensors');
  await expect(loose).toContainText(
    'Still missing: tokenizer.json (or vocab.json, merges.txt and tokenizer_config.json), ' +
      'model.safetensors.index.json, model-00002-of-00002.safetensors.',
  );
  await expect(loose.getByRole('button', { name: 'Load these files' })).toBeDisabled();
  await loose.getByRole('button', { name: 'Leave out model-00001-of-00002.safetensors' }).click();
  await pick('tokenizer.json');
  await pick('model.safetensors');
  await expect(loose).toContainText('All that is needed is there.');
  await loose.getByRole('button', { name: 'Load these files' }).click();
  await expect
    .poll(() => lastRequest(page, 'load-model'))
    .toMatchObject({ name: 'the chosen files', source: { kind: 'files', files: [{}, {}, {}] } });
  const folder = mkdtempSync(join(tmpdir(), 'checkpoint-'));
  writeFileSync(join(folder, 'config.json'), '{}');
  await dialog.getByTestId('model-folder').setInputFiles(folder);
  await expect
    .poll(() => lastRequest(page, 'load-model'))
    .toMatchObject({ name: folder.split('/').at(-1), source: { kind: 'files', files: [{}] } });
  await dialog.getByRole('button', { name: /^Toy model/ }).click();
  expect(await lastRequest(page, 'load-model')).toMatchObject({ name: 'Toy model' });
  expect(await lastRequest(page, 'load-model')).not.toHaveProperty('keep');
  await loadFakeModel(page);
  await page.keyboard.press('Escape');
  await expect(dialog).toBeHidden();
  await expect(page.getByTestId('model-chip')).toHaveAttribute('data-status', 'ready');
});

test('a large model: its plan first, then its bytes as they come, and an end to it', async ({ page }) => {
  await loadFakeModel(page);
  await page.keyboard.press('m');
  const dialog = page.getByRole('dialog', { name: 'Models' });
  await emit(page, {
    type: 'kept-models',
    id: (await lastRequest(page, 'list-models')).id,
    models: [KEPT],
    room: { usage: 2.26e9, quota: 38e9, persisted: false },
  });
  await expect(dialog.getByTestId('storage')).toContainText('2.26 GB of 38.0 GB');
  await expect(dialog.getByTestId('kept-model')).toContainText('stopped at 2.26 GB, language 4-bit');
  await dialog.getByRole('button', { name: /^big-model/ }).click();
  expect(await lastRequest(page, 'plan-model')).toMatchObject({ source: { kind: 'url', url: KEPT.source } });
  await emit(page, {
    type: 'model-plan',
    id: (await lastRequest(page, 'plan-model')).id,
    plan: planOf(7.3e9),
  });
  const plan = dialog.getByTestId('model-plan');
  await expect(plan).toContainText('3.60 B parameters');
  await expect(plan).toContainText('Nothing is downloaded until you press the button.');
  await expect(plan).toContainText('Goes on where it stopped: 2.26 GB are kept.');
  await expect(plan.getByTestId('plan-files')).toContainText('2 files of weights7.30 GB of 7.67 GB');
  await expect(plan.getByTestId('plan-files')).toContainText(
    'model-00002-of-00002.safetensors2.33 GB of 2.39 GB',
  );
  await expect(plan.getByRole('radio', { name: '4-bit, 2.79 GB' })).toBeChecked();
  // What takes longer comes later; where training cannot be counted, the plan stays.
  const planned = { type: 'model-plan', id: (await lastRequest(page, 'plan-model')).id } as const;
  await expect(plan.getByTestId('plan-speed')).toContainText('2.56 GB read for a token');
  await emit(page, { ...planned, plan: { ...planOf(7.3e9), copy_gbps: 640 } });
  await expect(plan.getByTestId('plan-speed')).toContainText('640 GB/s measured here');
  await expect(plan.getByTestId('plan-speed')).toContainText('at most 250 tokens a second');
  await plan.getByRole('button', { name: 'Count its memory' }).click();
  expect(await lastRequest(page, 'plan-model')).toMatchObject({
    id: planned.id,
    training: { lora: { r: expect.any(Number) } },
  });
  await fail(page, planned.id, { ...MODEL_ERROR, message: 'There is no room.' });
  await expect(plan).toContainText('The memory of training could not be counted: There is no room.');
  await plan.getByRole('button', { name: 'Count again' }).click();
  const training = { bytes: 5.5e9, largestBuffer: 2e8, suggestions: { num_generations: 4 } };
  const { plans, ...rest } = planOf(7.3e9);
  await emit(page, { ...planned, plan: { ...rest, plans: plans.map((one) => ({ ...one, training })) } });
  await expect(plan.getByTestId('plan-training')).toContainText('5.50 GB on the GPU at most');
  await expect(plan).toContainText('one buffer of this adapter 134 MB. 4 answers would fit.');
  await expect(plan.getByTestId('plan-speed')).toContainText('at most 250 tokens a second');
  await plan.getByRole('radio', { name: 'f32, 13.3 GB' }).check();
  // The adapter of the test has bindings of 134 MB.
  await expect(plan).toContainText('one buffer of this adapter 134 MB');
  await expect(plan.getByRole('button', { name: 'Download 7.30 GB' })).toBeDisabled();
  await plan.getByRole('radio', { name: '4-bit, 2.79 GB' }).check();
  // Each part has its own: what is chosen then has no name.
  await plan.getByText('Choose for each part').click();
  const embedding = plan.getByLabel('embedding and head');
  await expect(embedding.locator('option')).toHaveText([
    '4-bit, 58.0 MB',
    '8-bit, 110 MB',
    'f16, 200 MB, does not fit',
    'f32, 400 MB, does not fit',
  ]);
  await embedding.selectOption('f16');
  await expect(plan).toContainText(
    'takes 200 MB, and one buffer of this adapter 134 MB. 4-bit and 8-bit fit.',
  );
  await embedding.selectOption('q4');
  await expect(plan.getByRole('radio', { name: 'Your choice, 2.74 GB' })).toBeChecked();
  await expect(plan).toContainText('language 4-bit, embedding 4-bit, vision f16');
  await expect(plan).not.toContainText('Goes on where it stopped');
  await expect(plan.getByTestId('plan-training')).toContainText('5.45 GB on the GPU at most');
  expect(await lastRequest(page, 'load-model')).toMatchObject({ name: 'Toy model' });
  await plan.getByRole('button', { name: 'Download 7.30 GB' }).click();
  const load = await lastRequest(page, 'load-model');
  expect(load).toMatchObject({
    name: 'big-model',
    keep: true,
    beside: true,
    precision: { language: 'q4', embedding: 'q4' },
  });
  const bytes = (done: number) =>
    emit(page, {
      type: 'progress',
      scope: 'model',
      id: load.id,
      label: 'Loading the weights',
      done,
      total: 5e9,
      bytes: true,
      files: [
        { name: 'model-00001-of-00002.safetensors', done: Math.min(done, 4e9), total: 4e9 },
        { name: 'model-00002-of-00002.safetensors', done: Math.max(0, done - 4e9), total: 1e9 },
      ],
    });
  const loading = dialog.getByTestId('loading-model');
  await bytes(0);
  await expect
    .poll(async () => {
      await bytes(4e9);
      return loading.textContent();
    })
    .toMatch(/4\.00 GB of 5\.00 GB.*left.*\/s now/);
  await expect(loading.getByRole('listitem')).toHaveText([
    'model-00001-of-00002.safetensors4.00 GB',
    'model-00002-of-00002.safetensorswaiting, 1.00 GB',
  ]);
  await expect(loading).toContainText('what was loaded is kept');
  // Where that is not so, it is not said.
  await emit(page, { type: 'not-kept', id: load.id, message: 'Storage is full.' });
  await expect(loading).toContainText('Storage is full.');
  await expect(loading).toContainText('Where you stop, what is not kept is loaded anew.');
  await expect(loading).not.toContainText('what was loaded is kept');
  // The toy model answers meanwhile.
  await loading.getByRole('button', { name: 'Keep asking the toy model' }).click();
  await expect(dialog).toBeHidden();
  await expect(page.getByTestId('model-chip')).toHaveAttribute('data-status', 'ready');
  await expect(page.getByTestId('model-chip')).toContainText('Toy model');
  await page.getByRole('button', { name: 'big-model: loading 80 %' }).click();
  await loading.getByRole('button', { name: 'Stop' }).click();
  await expect.poll(() => lastRequest(page, 'cancel-load')).toMatchObject({ type: 'cancel-load' });
  await expect(loading.getByRole('button', { name: 'Stopping' })).toBeVisible();
  const stopped = {
    scope: 'model',
    code: 'cancelled',
    title: 'Loading was stopped.',
    message: 'It is kept.',
  };
  const toy = (await requests(page)).find(({ type }) => type === 'load-model')!.id;
  await emit(page, { type: 'error', id: load.id, error: stopped as EngineError, model_kept: toy });
  await expect(dialog.getByTestId('error')).toContainText('It is kept. Toy model stays loaded.');
  // How fast it came is remembered for the next plan.
  await dialog.getByRole('button', { name: /^big-model/ }).click();
  await emit(page, {
    type: 'model-plan',
    id: (await lastRequest(page, 'plan-model')).id,
    plan: planOf(7.3e9),
  });
  await expect(plan).toContainText(
    /\/s was the speed of your last download.*Download7\.30 GB(About|Less than) \d+ (s|min)\./,
  );
  await dialog.getByRole('button', { name: 'Delete big-model' }).click();
  await expect(dialog).toContainText('This frees 2.26 GB.');
  await dialog.getByRole('button', { name: 'Delete', exact: true }).click();
  const deleted = await lastRequest(page, 'delete-model');
  expect(deleted).toMatchObject({ model: KEPT.id });
  await emit(page, { type: 'kept-models', id: deleted.id, models: [] });
  await expect(dialog.getByTestId('kept-model')).toHaveCount(0);
});

test('models of files: told apart, loaded, deleted while in use, and planned again', async ({ page }) => {
  await loadFakeModel(page);
  await page.keyboard.press('m');
  const dialog = page.getByRole('dialog', { name: 'Models' });
  const height = async () => (await dialog.boundingBox())!.height;
  const empty = await height();
  const tuned = { ...KEPT, name: 'tuned', source: 'folder tuned', complete: true };
  const [older, newer] = [1, 2].map((day) => ({ ...tuned, id: `${day}`, created: Date.UTC(2026, 0, day) }));
  const room = { usage: 3e9, quota: 4e9, persisted: true };
  const list = async (...models: (typeof tuned)[]) =>
    emit(page, { type: 'kept-models', id: await lastId(page, 'list-models'), models, room });
  await list(newer!, older!);
  const [first, second] = await dialog.getByTestId('kept-model').allTextContents();
  expect(first).toMatch(/kept in this browser, since \d+ Jan, \d\d:\d\d/);
  expect(first).not.toBe(second);
  await dialog
    .getByTestId('kept-model')
    .last()
    .getByRole('button', { name: /^tuned/ })
    .click();
  await expect.poll(() => lastRequest(page, 'load-model')).toMatchObject({ source: { id: '1' } });
  await loadFakeModel(page);
  const details = dialog.getByTestId('model-details');
  await expect(details).toContainText('Kept in this browser');
  await expect(details).toContainText('To change its precision, choose its files again.');
  await dialog
    .getByRole('button', { name: /^Delete tuned, since/ })
    .last()
    .click();
  await dialog.getByRole('button', { name: 'Delete', exact: true }).click();
  await expect.poll(() => lastRequest(page, 'delete-model')).toMatchObject({ model: '1' });
  await list(newer!);
  await expect(details).toContainText('Loaded from this browser, where it is not kept any more.');
  await expect(details).not.toContainText('Kept in');
  await expect(dialog.getByRole('button', { name: 'in use tuned not kept any more' })).toBeVisible();
  await expect(dialog.getByTestId('kept-model')).not.toContainText('since');
  const text = {
    'config.json': '{"_name_or_path": "some/other"}',
    'tokenizer.json': '',
    'model.safetensors': '',
  };
  const picked = Object.entries(text).map(([name, json]) => ({
    name,
    mimeType: '',
    buffer: Buffer.from(json),
  }));
  await dialog.getByLabel('Model files').setInputFiles(picked);
  await expect.poll(() => lastRequest(page, 'load-model')).toMatchObject({ name: 'other', keep: true });
  await loadFakeModel(page);
  await details.getByRole('button', { name: 'Change precision' }).click();
  const id = await lastId(page, 'plan-model');
  await emit(page, { type: 'model-plan', id, plan: planOf(7.3e9), room: { ...room, quota: 40e9 } });
  const plan = dialog.getByTestId('model-plan');
  await expect(plan).toContainText('What is read is the same for all.');
  await expect(plan).toContainText('In this browser: the next visit needs no files.');
  await expect(plan).not.toContainText(/download/i);
  await emit(page, { type: 'model-plan', id, plan: planOf(7.3e9), room });
  await expect(plan).toContainText('It can be loaded, and is loaded anew at each visit.');
  await expect(plan).not.toContainText(/download/i);
  // As high as it was, and the way on is in sight on a low screen too.
  expect(await height()).toBe(empty);
  await page.setViewportSize({ width: 1440, height: 700 });
  await expect(plan.getByRole('button', { name: 'Load', exact: true })).toBeInViewport({ ratio: 1 });
  await plan.hover();
  await page.mouse.wheel(0, 2000);
  const end = async () => {
    const [box, whole] = [await plan.locator('.plan-end').boundingBox(), await dialog.boundingBox()];
    return Math.abs(whole!.y + whole!.height - box!.y - box!.height);
  };
  await expect.poll(end).toBeLessThan(2);
});

test('a model of another visit: from this browser where it is kept, else planned beside the toy model', async ({
  page,
}) => {
  await page.evaluate((url) => {
    localStorage.setItem('models', JSON.stringify({ chosen: { kind: 'url', url }, recent: [url] }));
  }, KEPT.source);
  await page.reload();
  const models = [{ ...KEPT, complete: true }];
  expect((await requests(page)).map(({ type }) => type)).toEqual(['list-models']);
  await emit(page, { type: 'kept-models', id: (await lastRequest(page, 'list-models')).id, models });
  expect(await lastRequest(page, 'load-model')).toMatchObject({ source: { kind: 'kept', id: KEPT.id } });
  await page.reload();
  await emit(page, { type: 'kept-models', id: (await lastRequest(page, 'list-models')).id, models: [] });
  expect(await lastRequest(page, 'load-model')).toMatchObject({ name: 'Toy model' });
  await loadFakeModel(page);
  await emit(page, { type: 'not-kept', id: await lastId(page, 'load-model'), message: 'Storage is full.' });
  await expect(page.getByRole('button', { name: 'The model is not kept' })).toBeVisible();
  await page.evaluate((url) => {
    localStorage.setItem('models', JSON.stringify({ chosen: { kind: 'url', url }, recent: [url] }));
  }, KEPT.source);
  await page.reload();
  await emit(page, { type: 'kept-models', id: (await lastRequest(page, 'list-models')).id, models: [KEPT] });
  expect(await lastRequest(page, 'load-model')).toMatchObject({ name: 'Toy model' });
  await loadFakeModel(page);
  await emit(page, {
    type: 'model-plan',
    id: (await lastRequest(page, 'plan-model')).id,
    plan: planOf(7.3e9),
  });
  expect(await lastRequest(page, 'load-model')).toMatchObject({ name: 'Toy model' });
  await page.getByRole('button', { name: 'big-model: 7.30 GB to load. See the plan' }).click();
  await expect(page.getByTestId('model-plan')).toContainText('What happens next');
  // One that was kept and is gone is told of.
  await page.evaluate((name) => {
    localStorage.setItem(
      'models',
      JSON.stringify({ chosen: { kind: 'kept', id: 'gone', name }, recent: [] }),
    );
  }, KEPT.name);
  await page.reload();
  await emit(page, { type: 'kept-models', id: (await lastRequest(page, 'list-models')).id, models: [] });
  expect(await lastRequest(page, 'load-model')).toMatchObject({ name: 'Toy model' });
  const worst = { name: 'language_model.model.layers.1.mlp.down_proj.weight', error: 0.0872 };
  const errors = [worst, { name: 'language_model.model.layers.0.self_attn.q_proj.weight', error: 0.071 }];
  await loadFakeModel(page, [
    {
      ...{ part: 'language', precision: 'q4', tensors: 28, mean_error: 0.0744 },
      ...{ worst_error: worst.error, worst_tensor: worst.name, errors },
    },
    { part: 'vision', precision: 'f32', tensors: 18, mean_error: 0, worst_error: 0, worst_tensor: '' },
  ]);
  await page.getByRole('button', { name: 'The model is not kept' }).click();
  await expect(page.getByTestId('not-kept')).toContainText('big-model was kept here and is gone');
  const measured = page.getByTestId('model-errors');
  await measured.getByText('language model 4-bit; vision encoder f32').click();
  await expect(measured).toContainText('language model4-bit7.4 %8.7 %');
  await expect(
    measured.getByRole('list', { name: 'Error of each tensor' }).locator('li').first(),
  ).toContainText(`${worst.name}8.7 %`);
});
