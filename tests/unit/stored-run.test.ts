import { expect, it } from 'vitest';
import { presetConfig } from '../../src/app/train/presets';
import { RunStore } from '../../src/storage/run-store';
import { exportRun } from '../../src/worker/training/export-run';
import {
  changeSettings,
  leaveOut,
  replaceReward,
  type StoredRun,
} from '../../src/worker/training/stored-run';
import { MemoryFolder, MemoryLocks } from '../support/memory-folder';

const CONFIG = presetConfig('toy');

async function paused(rewards = CONFIG.rewards) {
  const store = new RunStore<StoredRun>(new MemoryFolder(), new MemoryLocks());
  const open = await store.create({
    version: 1,
    run: 'a',
    name: 'Run 1',
    created: 1,
    model: 'toy-base',
    config: { ...CONFIG, rewards },
    data: { kind: 'toy' },
    state: 'paused',
    saved_step: 4,
    failed_question: 37,
  });
  return { store, open };
}

it('a run goes on with an edited reward, on the question that it failed on', async () => {
  const [signed] = CONFIG.rewards;
  const { store, open } = await paused([signed!, { name: 'user_reward', weight: 0.5, code: '() => label' }]);
  await expect(replaceReward(open, ' \n')).rejects.toThrow('Your own reward has no code yet.');
  await replaceReward(open, '() => 1');
  const header = (await store.header('a'))!;
  expect(header.config).toEqual({
    ...CONFIG,
    rewards: [signed, { name: 'user_reward', weight: 0.5, code: '() => 1' }],
  });
  // Nothing is left out, and nothing is to be left out any more.
  expect(header.skips).toBeUndefined();
  expect(await leaveOut(open)).toBeUndefined();
});

it('a run without a reward of the user’s own has none to edit', async () => {
  const { open } = await paused();
  await expect(replaceReward(open, '() => 1')).rejects.toThrow('Run 1 has no reward of your own');
});

it('a cold start has no script for TRL, which goes on with GRPO', async () => {
  const store = new RunStore<StoredRun>(new MemoryFolder(), new MemoryLocks());
  const start = async (run: string, stage: 'grpo' | 'cold-start') => {
    const config = { ...CONFIG, stage, eval_questions: 0 };
    const { header } = (await paused()).open;
    const open = await store.create({ ...header, run, config, data: { kind: 'own' } });
    const files = ['adapter_config.json', 'adapter_model.safetensors'] as const;
    await open.saveCheckpoint(4, new Map(files.map((name) => [name, new Uint8Array(8)])), {});
  };
  await start('cold', 'cold-start');
  await expect(exportRun(store, 'cold', 'trl')).rejects.toThrow(
    'The script for TRL goes on with GRPO, and Run 1 is a cold start. Export its adapter instead.',
  );
  expect(await exportRun(store, 'cold', 'adapter')).toHaveLength(2);
  await start('grpo', 'grpo');
  const script = await exportRun(store, 'grpo', 'trl');
  expect(script.map(({ name }) => name)).toContain('train.py');
});

it('settings of a run change where its trainer reads them, and only what differs is told', async () => {
  const { store, open } = await paused();
  const { grpo } = open.header.config;
  const { learning_rate, beta } = grpo;
  expect(await changeSettings(open, { beta: 0.5, learning_rate, max_steps: 77 })).toBe(
    'beta 0.5, max_steps 77',
  );
  expect(grpo).toMatchObject({ beta: 0.5, learning_rate, max_steps: 77 });
  expect((await store.header('a'))!.config.grpo).toEqual(grpo);
  expect(await changeSettings(open, { beta: 0.5 })).toBeUndefined();
  expect(await changeSettings(open, { beta })).toBe(`beta ${beta}`);
});
