import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { EngineClient } from '../../src/app/engine-client';
import { TrainingClient } from '../../src/app/train/training-client';
import type { TrainingEvent, TrainingRequest } from '../../src/worker/training-protocol';

let sent: TrainingRequest[];
let emit: (event: TrainingEvent) => void;
beforeEach(() => {
  vi.stubGlobal('document', { visibilityState: 'visible' });
  sent = [];
  let id = 0;
  const engine = {
    store: { subscribe: () => () => {} },
    newId: () => ++id,
    sendTraining: (request: TrainingRequest) => void sent.push(request),
    setTraining: () => {},
    onTraining: (_: TrainingEvent) => {},
  };
  new TrainingClient(engine as unknown as EngineClient, () => Promise.resolve([]));
  emit = (event) => engine.onTraining(event);
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
