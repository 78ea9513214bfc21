import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { EngineClient } from '../../src/app/engine-client';
import { TrainingClient } from '../../src/app/train/training-client';
import type { TrainingEvent, TrainingRequest } from '../../src/worker/training-protocol';

let sent: TrainingRequest[];
let emit: (event: TrainingEvent) => void;
let client: TrainingClient;
/** Ends the engine's thread, or changes what the engine's state says. */
let gone: () => void;
let change: (next: object, before: object) => void;
beforeEach(() => {
  vi.stubGlobal('document', { visibilityState: 'visible' });
  sent = [];
  let id = 0;
  const engine = {
    store: {
      subscribe(listener: typeof change) {
        change = listener;
      },
    },
    newId: () => ++id,
    sendTraining: (request: TrainingRequest) => void sent.push(request),
    setTraining: () => {},
    onTraining: (_: TrainingEvent) => {},
    onGone: () => {},
  };
  client = new TrainingClient(engine as unknown as EngineClient, () => Promise.resolve([]));
  emit = (event) => engine.onTraining(event);
  gone = () => engine.onGone();
});
afterEach(() => vi.unstubAllGlobals());

const listings = () => sent.filter(({ type }) => type === 'list-runs') as { id: number }[];
const reply = () => emit({ type: 'runs', id: listings().at(-1)!.id, runs: [] });

it('lists the runs anew when another tab has written to one, and once more for what it wrote meanwhile', async () => {
  emit({ type: 'runs-changed' });
  expect(listings()).toHaveLength(1);
  for (let i = 0; i < 3; i++) emit({ type: 'runs-changed' });
  expect(listings()).toHaveLength(1);
  reply();
  await vi.waitFor(() => expect(listings()).toHaveLength(2));
  reply();
  await new Promise((resolve) => setTimeout(resolve));
  expect(listings()).toHaveLength(2);
  emit({ type: 'runs-changed' });
  expect(listings()).toHaveLength(3);
});

it('leaves it until the page is seen where it is hidden', () => {
  vi.stubGlobal('document', { visibilityState: 'hidden' });
  emit({ type: 'runs-changed' });
  expect(sent).toEqual([]);
});

it('waits no longer for what was lost with the GPU, or with the thread', async () => {
  const ready = { model: { status: 'ready' }, recovering: false };
  const adapter = client.loadAdapter({ run: 'a' });
  const listed = client.listRuns();
  change({ ...ready, recovering: true }, ready);
  await expect(adapter).rejects.toThrow('The GPU was reset before this was done.');
  // What needs no GPU is answered all the same.
  reply();
  await listed;
  const again = client.listRuns();
  const live = { run: 'a', state: 'running', step: 3 } as const;
  emit({ type: 'run-state', ...live });
  gone();
  await expect(again).rejects.toThrow('The engine stopped.');
  expect(client.store.getState().live?.state).toBe('failed');
});
