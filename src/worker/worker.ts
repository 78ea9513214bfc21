/** The engine's thread: receives requests, posts events. */
import { Engine } from './engine';
import type { EngineEvent, EngineRequest } from './protocol';

const engine = new Engine((event: EngineEvent, transfer: Transferable[] = []) =>
  postMessage(event, { transfer }),
);

addEventListener('message', ({ data }: MessageEvent<EngineRequest>) => engine.handle(data));
