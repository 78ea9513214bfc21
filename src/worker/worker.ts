/** The engine's thread: receives requests, posts events. */
import type { BenchEvent, BenchRequest } from './bench-protocol';
import { Engine } from './engine';
import type { ModelEvent, ModelRequest } from './model-protocol';
import type { EngineEvent, EngineRequest } from './protocol';
import type { TrainingEvent, TrainingRequest } from './training-protocol';

const engine = new Engine(
  (event: EngineEvent | TrainingEvent | BenchEvent | ModelEvent, transfer: Transferable[] = []) =>
    postMessage(event, { transfer }),
);

addEventListener(
  'message',
  ({ data }: MessageEvent<EngineRequest | TrainingRequest | BenchRequest | ModelRequest>) =>
    engine.handle(data),
);
