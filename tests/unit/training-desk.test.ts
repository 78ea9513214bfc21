import { expect, it } from 'vitest';
import type { AdapterShelf } from '../../src/worker/adapter-shelf';
import type { EngineEvent } from '../../src/worker/protocol';
import type { DeskEngine, NamedSession } from '../../src/worker/training/desk-engine';
import { readSettled } from '../../src/worker/training/read-settled';
import { TrainingDesk } from '../../src/worker/training/training-desk';

it('does not begin a run that waits while another model is asked for: the load would wait for all of it', async () => {
  const posted: unknown[] = [];
  let turn = () => {};
  const engine: DeskEngine = {
    post: (event) => void posted.push(event),
    session: () => undefined,
    enqueue: (id, job) =>
      new Promise((resolve) => {
        turn = () =>
          job({} as NamedSession)
            .catch(({ message }: Error) => posted.push({ id, message }))
            .then(() => resolve());
      }),
    testKernels: () => Promise.resolve(),
  };
  const desk = new TrainingDesk(engine, {} as AdapterShelf);
  desk.handle({ type: 'resume-run', id: 7, run: 'a' });
  desk.pause();
  turn();
  await expect
    .poll(() => posted)
    .toEqual([
      {
        id: 7,
        message: 'Another model was asked for before this run began. Try it again once that is loaded.',
      },
    ]);
  // The next one is not told that a run goes on.
  desk.handle({ type: 'resume-run', id: 8, run: 'a' });
  expect(posted.filter((event) => (event as EngineEvent).type === 'error')).toEqual([]);
});

it('reads again what was read while a run ended', async () => {
  let turn: object | undefined = {};
  let reads = 0;
  const told = await readSettled(
    () => [turn],
    async () => {
      const state = turn ? 'running' : 'done';
      reads += 1;
      await Promise.resolve();
      turn = undefined;
      return state;
    },
  );
  expect([told, reads]).toEqual(['done', 2]);
});
