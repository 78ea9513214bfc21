import { expect, it } from 'vitest';
import { Engine } from '../../src/worker/engine';
import type { EngineEvent } from '../../src/worker/protocol';

type Of<T extends EngineEvent['type']> = Extract<EngineEvent, { type: T }>;

/** Sends a request; its first event of a type, errors fail. */
function reply<T extends EngineEvent['type']>(
  engine: Engine,
  listeners: Set<(event: EngineEvent) => void>,
  request: Parameters<Engine['handle']>[0],
  type: T,
): Promise<Of<T>> {
  return new Promise((resolve, reject) => {
    const listener = (event: EngineEvent) => {
      if (event.type === 'error') reject(new Error(JSON.stringify(event.error)));
      if (event.type !== type) return;
      listeners.delete(listener);
      resolve(event as Of<T>);
    };
    listeners.add(listener);
    engine.handle(request);
  });
}

it('loads a model in fewer bits where that is asked for, says what it cost, and answers', async () => {
  const listeners = new Set<(event: EngineEvent) => void>();
  const engine = new Engine((event) => {
    if (event.type === 'frame') event.thumbnail.close();
    for (const listener of [...listeners]) listener(event as EngineEvent);
  });
  const load = {
    type: 'load-model' as const,
    id: 1,
    source: { kind: 'url' as const, url: new URL('/models/toy/', location.href).href },
    name: 'Toy',
    backend: 'wgsl' as const,
    precision: { language: 'q4', embedding: 'q8', vision: 'f16' } as const,
  };
  const { model } = await reply(engine, listeners, load, 'model-ready');
  expect(model.precision).toMatchObject([
    { part: 'language', precision: 'q4', tensors: 28 },
    { part: 'embedding', precision: 'q8', tensors: 1 },
    // The toy checkpoint is stored in F16.
    { part: 'vision', precision: 'f16', tensors: 18, mean_error: 0 },
    { part: 'connector', precision: 'f32', tensors: 11, mean_error: 0 },
  ]);
  const [language, embedding] = model.precision!;
  expect(language!.mean_error).toBeGreaterThan(10 * embedding!.mean_error);
  expect(embedding!.mean_error).toBeGreaterThan(1e-3);
  const file = await (await fetch('/samples/one-moves.mp4')).blob();
  await reply(engine, listeners, { type: 'open-video', id: 2, file, name: 'one-moves.mp4' }, 'video-ready');
  const settings = { temperature: 0, top_k: 0, top_p: 1, max_new_tokens: 24, seed: 1 };
  const question = { text: 'Which object moves?', options: [], reasoning: true };
  const ask = { type: 'ask' as const, id: 3, question, settings, num_generations: 1 };
  expect((await reply(engine, listeners, ask, 'answered')).trace.text).toMatch(/^\s*<think> \w/);
});
