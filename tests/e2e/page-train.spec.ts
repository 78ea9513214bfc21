import { expect, type Page, test } from '@playwright/test';
import { presetConfig } from '../../src/app/train/presets';
import type { RunConfig } from '../../src/worker/training-protocol';
import { lastRequest, requests } from './page-fake-engine';
import {
  emitTraining,
  fakeData,
  fakeEval,
  fakeLine,
  fakePlan,
  fakeRows,
  fakeRun,
  streamFakeTraining,
} from './page-fake-training';
import { axe, openTrain, shot } from './page-train-support';

// The Train page's states. The test plays the engine: no number here is a model's.

async function answerPlan(page: Page, fits = true, impossible = false): Promise<void> {
  await expect
    .poll(async () => (await requests(page)).map(({ type }) => type as string))
    .toContain('plan-memory');
  await emitTraining(page, {
    type: 'memory-plan',
    id: (await lastRequest(page, 'plan-memory')).id,
    plan: { ...fakePlan(fits), ...(impossible ? { suggestions: {}, impossible } : {}) },
  });
}

/** Answers the page's `export-run` request; blobs do not go through `emit`. */
async function sendFiles(page: Page, id: number, names: string[]): Promise<void> {
  await page.evaluate(
    ([id, names]) => {
      const { fakeEngine } = window as unknown as { fakeEngine: Worker };
      const files = names.map((name) => ({ name, blob: new Blob(['print()']) }));
      fakeEngine.onmessage?.({ data: { type: 'run-files', id, files } } as MessageEvent);
    },
    [id, names] as const,
  );
}

const setting = (page: Page, name: string) => page.locator(`[data-setting="${name}"] input`);

test('a run from the empty page to its end', async ({ page }) => {
  await openTrain(page);

  await test.step('empty: presets, settings with their problems, memory', async () => {
    await expect(page.getByTestId('empty-run')).toContainText('No runs yet');
    await answerPlan(page);
    await expect(page.getByTestId('memory-plan')).toContainText('312 MB of 4.00 GB budget');
    await page
      .getByTestId('empty-run')
      .getByRole('button', { name: /^Quick/ })
      .click();
    await expect(setting(page, 'max_steps')).toHaveValue('10');
    await page.getByTestId('setup').getByText('Toy', { exact: true }).click();
    await expect(setting(page, 'max_steps')).toHaveValue('60');
    await setting(page, 'beta').fill('-1');
    await expect(page.locator('[data-setting="beta"]')).toContainText('beta is a number from 0 up to 10.');
    await expect(page.getByTestId('start-run')).toBeDisabled();
    await setting(page, 'beta').fill('4e-2');
    await expect(page.getByTestId('start-run')).toBeEnabled();
    await page.getByRole('button', { name: 'num_generations' }).click();
    await expect(page.locator('[data-setting="num_generations"]')).toContainText('Answers to each question');
    // A cold start has no settings that it does not use, and none of them keeps it from starting.
    await setting(page, 'num_generations').fill('1');
    await expect(page.getByTestId('start-run')).toBeDisabled();
    await page.getByTestId('setup').getByText('Cold start').click();
    await expect(setting(page, 'num_generations')).toHaveCount(0);
    await expect(setting(page, 'kl_limit')).toHaveCount(0);
    await expect(setting(page, 'questions_per_step')).toHaveValue('8');
    await expect(page.getByTestId('start-run')).toBeEnabled();
    await shot(page, 'cold-start-form');
    await page.getByTestId('setup').getByText('GRPO', { exact: true }).click();
    await setting(page, 'num_generations').fill('8');
    await setting(page, 'max_steps').fill('400');
    await axe(page, 'empty');
    await shot(page, 'empty');
  });

  await test.step('settings that do not fit: what would', async () => {
    await expect
      .poll(async () => {
        await answerPlan(page, false);
        return page.getByTestId('too-large').isVisible();
      })
      .toBe(true);
    await expect(page.getByTestId('too-large')).toContainText('Not enough GPU memory for 8 answers.');
    await page.getByRole('button', { name: 'Use 5 answers' }).click();
    await expect(setting(page, 'num_generations')).toHaveValue('5');
    // It may be wrong, so the run can be tried; where nothing at all would fit it is not begun.
    await expect(page.getByTestId('start-run')).toBeEnabled();
    await setting(page, 'num_generations').fill('8');
    await expect
      .poll(async () => {
        await answerPlan(page, false, true);
        return page
          .locator('#start-blocker')
          .textContent({ timeout: 100 })
          .catch(() => '');
      })
      .toMatch(/^Not even one answer has room/);
    await expect(page.getByTestId('start-run')).toBeDisabled();
    await setting(page, 'num_generations').fill('7');
    await expect(page.getByTestId('start-run')).toBeEnabled();
    await setting(page, 'num_generations').fill('8');
  });

  const run = fakeRun('r7', 'Run 7', {
    state: 'compiling',
    step: 0,
    saved_step: 0,
    created: 1_790_000_100_000,
  });
  let config: RunConfig;
  await test.step('compiling', async () => {
    await page.getByLabel('Name of the run').fill('Run 7');
    await page.getByTestId('start-run').click();
    const started = await lastRequest(page, 'start-run');
    expect(started).toMatchObject({ name: 'Run 7', data: { kind: 'toy' } });
    expect(started.config.grpo).toMatchObject({ beta: 0.04, max_steps: 400, num_generations: 8 });
    config = {
      ...started.config,
      rewards: [...started.config.rewards, { name: 'user_reward', weight: 1, code: '() => label' }],
    };
    await emitTraining(page, { type: 'run-started', id: started.id, run, config });
    await emitTraining(page, {
      type: 'run-state',
      run: 'r7',
      state: 'compiling',
      step: 0,
      detail: 'compiling shaders',
    });
    await expect(page.getByTestId('run-head')).toContainText('compiling shaders');
    await expect(page.locator('[data-setting="num_generations"] input')).toHaveCount(0);
  });

  await test.step('training: curves, the group, completions, checks', async () => {
    await emitTraining(
      page,
      { type: 'run-state', run: 'r7', state: 'running', step: 0 },
      { type: 'run-eval', run: 'r7', line: fakeEval(0, 0.34) },
      ...Array.from({ length: 182 }, (_, i) => ({
        type: 'run-step' as const,
        run: 'r7',
        line: fakeLine(i + 1),
      })),
    );
    await emitTraining(
      page,
      ...[50, 100, 150].map((step, i) => ({
        type: 'run-eval' as const,
        run: 'r7',
        line: fakeEval(step, [0.47, 0.58, 0.66][i]!),
      })),
      {
        type: 'run-event',
        run: 'r7',
        event: { step: 96, code: 'changed', text: 'beta 0.04', time: 1_790_000_000_500 },
      },
      {
        type: 'run-event',
        run: 'r7',
        event: { step: 180, code: 'saved', text: 'checkpoint saved', time: 1_790_000_001_000 },
      },
    );
    await streamFakeTraining(page, 'r7', 183, 1464);
    await expect(page.getByTestId('run-head')).toContainText('step 182 of 400');
    await expect(page.getByTestId('pace')).toHaveText('1.9 s per step, about 7 min left');
    await expect(page.getByTestId('run-head')).toContainText('saved at step 180');
    const group = page.getByTestId('train-group');
    await expect(group).toContainText('5 of 8 finished, mean +0.72, advantages provisional');
    const card = (sample: number) => group.getByTestId('train-answer').nth(sample);
    await expect(card(2)).toHaveText(/C.*−0\.53.*−1\.09/);
    await expect(card(5)).toContainText('6, writing, token');
    await shot(page, 'group-so-far');
    await expect(group.locator('[data-status="writing"]')).toHaveCount(3);
    await expect(group.getByText('Wait, let me look again.')).toHaveCSS(
      'background-color',
      'rgb(255, 241, 204)',
    );
    await emitTraining(
      page,
      { type: 'group-scored', run: 'r7', question: 1464, rows: fakeRows(183, 1464) },
      { type: 'run-step', run: 'r7', line: fakeLine(183) },
    );
    await expect(group).toContainText('8 answers, mean +0.32');
    await expect(group.getByText('+1.56')).toBeVisible();
    await expect(group).not.toContainText('provisional');
    await expect(card(2)).not.toContainText('−1.09');
    await expect(page.locator('[data-chart="kl"]')).toContainText(/0\.0\d\d/);
    await expect(page.locator('[data-chart="grad_norm"] [role="img"]')).toHaveAccessibleName(
      /^grad_norm: \d\.\d\d at step 1, \d\.\d\d at step 183$/,
    );
    await expect(page.getByTestId('held-out')).toContainText('66%');
    await expect(page.getByTestId('completion')).toHaveCount(8);
    await axe(page, 'training, light');
    await shot(page, 'train-light');
    await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' });
    await axe(page, 'training, dark', 'colours');
    await shot(page, 'train-dark');
    await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
  });

  await test.step('settings that may change; more charts; the table; full screen', async () => {
    await setting(page, 'learning_rate').fill('3e-5');
    await setting(page, 'learning_rate').press('Enter');
    expect((await lastRequest(page, 'change-run')).settings).toEqual({ learning_rate: 3e-5 });
    await page.getByRole('button', { name: 'More charts' }).click();
    await expect(page.getByTestId('chart')).toHaveCount(20);
    await shot(page, 'more-charts');
    await page.getByRole('button', { name: 'As a table' }).click();
    await expect(page.getByTestId('step-table').getByRole('row')).toHaveCount(101);
    await axe(page, 'table of steps');
    await page.getByRole('button', { name: 'As charts' }).click();
    await page.getByRole('button', { name: 'Fewer charts' }).click();
    await page.keyboard.press('g');
    await expect(page.getByTestId('charts')).toBeHidden();
    await shot(page, 'group-full');
    await page.keyboard.press('g');
    await page.getByLabel('Search completions').fill('bottom left now');
    await expect(page.getByTestId('completion')).toHaveCount(1);
    await page.getByTestId('completion').getByRole('button').click();
    await expect(page.getByTestId('completions')).toContainText('Hmm, check the last frame.');
    await page.getByLabel('Search completions').fill('');
    await page.getByLabel('Search completions').blur();
  });

  await test.step('paused by the user; the KL; a reward that failed; a failure', async () => {
    await page.keyboard.press('p');
    await lastRequest(page, 'pause-run');
    await expect(page.getByTestId('pace')).toHaveText('Pausing, saving the last step');
    await expect(page.getByRole('button', { name: 'Stop' })).toBeDisabled();
    await emitTraining(page, { type: 'run-state', run: 'r7', state: 'paused', step: 183 });
    await expect(page.getByTestId('run-head')).toContainText('The GPU is free');
    await emitTraining(
      page,
      { type: 'run-state', run: 'r7', state: 'paused', step: 183, message: 'The KL is above the limit.' },
      {
        type: 'run-event',
        run: 'r7',
        event: { step: 183, code: 'kl-high', text: 'KL 2.31', time: 1_790_000_002_000 },
      },
    );
    await expect(page.getByTestId('run-message')).toContainText('your limit is 2.');
    // What the message advises can be done while the run is paused, and holds from the checkpoint on.
    await setting(page, 'beta').fill('-1');
    await setting(page, 'beta').press('Enter');
    await expect(page.locator('[data-setting="beta"]')).toContainText('beta is a number from 0');
    await setting(page, 'beta').fill('0.5');
    await setting(page, 'beta').press('Enter');
    await expect(page.locator('[data-setting="beta"]')).not.toContainText('is a number');
    await expect(setting(page, 'beta')).toHaveValue('0.5');
    await expect(setting(page, 'num_generations')).toHaveCount(0);
    await shot(page, 'kl-high');
    await page.getByRole('button', { name: 'Go back to step 180' }).click();
    await expect
      .poll(() => lastRequest(page, 'resume-run'))
      .toMatchObject({ run: 'r7', step: 180, settings: { beta: 0.5 } });
    const resumed = await lastRequest(page, 'resume-run');
    config = { ...config, grpo: { ...config.grpo, beta: 0.5 } };
    const going = { ...run, state: 'running' as const, step: 180, saved_step: 180 };
    await emitTraining(
      page,
      { type: 'run-started', id: resumed.id, run: going, config },
      { type: 'run-state', run: 'r7', state: 'running', step: 180 },
      {
        type: 'run-event',
        run: 'r7',
        event: { step: 180, code: 'resumed', text: 'goes on from step 180', time: 1_790_000_003_000 },
      },
    );
    await expect(page.getByTestId('run-message')).toContainText('so 3 steps are repeated');
    await shot(page, 'resumed');
    const failReward = () =>
      emitTraining(
        page,
        {
          type: 'run-event',
          run: 'r7',
          event: { step: 180, code: 'reward-failed', text: 'the reward failed', time: 1_790_000_004_000 },
        },
        {
          type: 'run-state',
          run: 'r7',
          state: 'paused',
          step: 180,
          message: 'my_reward threw “label is undefined” on 2 of 8 answers.',
        },
      );
    await failReward();
    const message = page.getByTestId('run-message');
    await expect(message).toContainText('The reward function failed.');
    await message.getByRole('button', { name: 'Edit reward' }).click();
    await message.getByRole('textbox').fill('() => 1');
    await shot(page, 'reward-edited');
    await message.getByRole('button', { name: 'Go on with this reward' }).click();
    await expect
      .poll(() => lastRequest(page, 'resume-run'))
      .toMatchObject({ type: 'resume-run', run: 'r7', reward_code: '() => 1' });
    const edited = await lastRequest(page, 'resume-run');
    // They hold already.
    expect(edited).not.toHaveProperty('settings');
    await expect(message.getByRole('button', { name: 'Go on with this reward' })).toBeDisabled();
    await emitTraining(
      page,
      { type: 'run-started', id: edited.id, run: going, config },
      { type: 'run-state', run: 'r7', state: 'running', step: 180 },
    );
    await failReward();
    await page.getByRole('button', { name: 'Skip this question' }).click();
    await expect
      .poll(() => lastRequest(page, 'resume-run'))
      .toMatchObject({ type: 'resume-run', run: 'r7', skip_question: true });
    await shot(page, 'reward-failed');
    await emitTraining(
      page,
      { type: 'run-state', run: 'r7', state: 'running', step: 180 },
      {
        type: 'run-event',
        run: 'r7',
        event: {
          step: 180,
          code: 'out-of-memory',
          text: '64.0 MB of GPU memory were asked for.',
          time: 1_790_000_005_000,
        },
      },
      {
        type: 'run-state',
        run: 'r7',
        state: 'paused',
        step: 180,
        message: '64.0 MB of GPU memory were asked for. The run is paused.',
        suggestions: { num_generations: 6, r: 4 },
      },
    );
    await expect(message).toContainText('Not enough GPU memory for 8 answers.');
    await expect(message).toContainText('Step 180 is saved. 6 answers fit, or a rank of 4.');
    await shot(page, 'out-of-memory');
    await message.getByRole('button', { name: 'New run with 6 answers' }).click();
    await expect(setting(page, 'num_generations')).toHaveValue('6');
    await expect(setting(page, 'beta')).toHaveValue('0.5');
    await page.getByTestId('run-row').filter({ hasText: 'Run 7' }).getByText('Run 7').click();
    await expect(message.getByRole('button', { name: 'New run with rank 4' })).toBeVisible();
    await emitTraining(page, {
      type: 'run-state',
      run: 'r7',
      state: 'failed',
      step: 180,
      message: 'The GPU was lost twice.',
    });
    await expect(page.getByTestId('run-message')).toContainText('Step 180 is saved');
    await axe(page, 'failed');
    await shot(page, 'failed');
  });

  await test.step('on a phone', async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    // Charts take their new width a frame after the page does.
    await expect
      .poll(() => page.evaluate(() => document.documentElement.scrollWidth))
      .toBeLessThanOrEqual(390);
    await axe(page, 'phone');
    await shot(page, 'phone');
    if (process.env.SHOTS)
      await page.screenshot({ path: `${process.env.SHOTS}/phone-full.png`, fullPage: true });
    await page.setViewportSize({ width: 1000, height: 800 });
    await page.getByRole('button', { name: 'Accuracy, runs and export' }).click();
    await expect(page.getByTestId('run-list')).toBeVisible();
    await shot(page, 'drawer');
  });
});

test('kept runs: opened, compared, renamed, deleted, exported, asked', async ({ page }) => {
  const toy = presetConfig('toy');
  const slower = { ...toy, grpo: { ...toy.grpo, learning_rate: 3e-4 } };
  const runs = [
    fakeRun('r7', 'Run 7', {
      state: 'paused',
      step: 184,
      saved_step: 180,
      created: 1_790_000_300_000,
      reward: 1.02,
      eval_accuracy: 0.66,
    }),
    fakeRun('r6', 'Run 6', { created: 1_790_000_200_000, config: slower }),
    fakeRun('r5', 'Run 5', { state: 'stopped', step: 120, created: 1_790_000_100_000, reward: -0.4 }),
  ];
  await openTrain(page, runs);
  await expect
    .poll(async () => (await requests(page)).map(({ type }) => type as string))
    .toContain('read-run');
  const read = await lastRequest(page, 'read-run');
  expect(read.run).toBe('r7');
  await emitTraining(page, fakeData(read.id, runs[0]!, presetConfig('toy'), 184));
  await expect(page.getByTestId('run-head')).toContainText('The GPU is free');
  await expect(page.getByTestId('train-group')).toContainText('Last group');
  await page.getByLabel('Compare Run 6').check();
  await expect.poll(async () => (await lastRequest(page, 'read-run')).run).toBe('r6');
  await emitTraining(page, fakeData((await lastRequest(page, 'read-run')).id, runs[1]!, slower, 400));
  const held = page.getByTestId('held-out');
  await expect(held.getByText('chance, 20%')).toBeVisible();
  await expect(held.getByText('Run 6')).toBeVisible();
  await expect(
    held.getByRole('img', { name: /^Answers that check themselves, .* step 150: 31%, then 52%\.$/ }),
  ).toBeVisible();
  await shot(page, 'compared');
  const row = (name: string) => page.getByTestId('run-row').filter({ hasText: name });
  await expect(row('Run 6')).toContainText('lr 3e-4');
  // While another run is read, the curves before it stay, dimmed.
  const curves = page.getByRole('region', { name: 'Curves' });
  await expect(curves).toHaveAttribute('aria-busy', 'false');
  await page.getByRole('button', { name: /^Run 5/ }).click();
  await expect(curves).toHaveAttribute('aria-busy', 'true');
  await shot(page, 'loading');
  await page.getByRole('button', { name: /^Run 7/ }).click();
  await expect(curves).toHaveAttribute('aria-busy', 'false');
  await page.getByRole('button', { name: 'Compare', exact: true }).click();
  const comparison = page.getByTestId('compare');
  await expect(comparison.getByRole('row', { name: 'learning_rate' })).toHaveText('learning_rate0.0013e-4');
  await expect(comparison.getByRole('row', { name: 'held-out last' })).toContainText('66% at step 150');
  await axe(page, 'compare');
  await shot(page, 'compare');
  await page.keyboard.press('Escape');

  await row('Run 5').hover();
  await page.getByRole('button', { name: 'Rename Run 5' }).click();
  await page.getByLabel('New name of Run 5').fill('beta 0');
  await page.keyboard.press('Enter');
  expect(await lastRequest(page, 'rename-run')).toMatchObject({ run: 'r5', name: 'beta 0' });
  await expect(row('beta 0')).toBeVisible();
  await row('beta 0').hover();
  await page.getByRole('button', { name: 'Delete beta 0' }).click();
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  const gone = await lastRequest(page, 'delete-run');
  await emitTraining(page, { type: 'runs', id: gone.id, runs: runs.slice(0, 2) });
  await expect(page.getByTestId('run-row')).toHaveCount(2);

  const saved = page.waitForEvent('download');
  await page.getByRole('button', { name: /TRL script/ }).click();
  const wanted = await lastRequest(page, 'export-run');
  expect(wanted.what).toBe('trl');
  await sendFiles(page, wanted.id, ['train.py', 'clips/a.mp4']);
  expect((await saved).suggestedFilename()).toBe('run-7-trl.zip');
  const completions = page.waitForEvent('download');
  await page.getByRole('button', { name: /^Completions/ }).click();
  await expect
    .poll(() => lastRequest(page, 'export-run'))
    .toMatchObject({ type: 'export-run', run: 'r7', what: 'completions-jsonl' });
  await sendFiles(page, (await lastRequest(page, 'export-run')).id, ['completions.jsonl']);
  expect((await completions).suggestedFilename()).toBe('run-7-completions.jsonl');

  // A cold start draws no answers, and the script is for GRPO.
  const cold: RunConfig = { ...toy, stage: 'cold-start' };
  await emitTraining(page, fakeData(read.id, { ...runs[0]!, stage: 'cold-start' }, cold, 184));
  const exports = page.getByTestId('exports');
  await expect(exports).toContainText('No completions and no TRL script');
  await expect(exports.getByRole('button', { name: /TRL script|^Completions/ })).toHaveCount(0);
  await expect(exports.getByRole('button', { name: /^PEFT adapter/ })).toBeVisible();
  await expect(page.locator('[data-setting="kl_limit"]')).toHaveCount(0);
  await shot(page, 'cold-start');

  await page.getByRole('button', { name: 'Ask with this adapter' }).click();
  const load = await lastRequest(page, 'load-adapter');
  await emitTraining(page, {
    type: 'adapters',
    id: load.id,
    adapters: [
      {
        adapter: 'a1',
        name: 'Run 7, step 180',
        r: 8,
        target_modules: ['self_attn.q_proj'],
        run: 'r7',
        step: 180,
      },
    ],
  });
  await expect(page.getByTestId('adapters')).toContainText('Run 7, step 180');
  await expect(page.getByRole('checkbox', { name: 'base' })).toBeChecked();
  await expect(page.getByRole('checkbox', { name: 'Run 7, step 180' })).toBeChecked();
});
