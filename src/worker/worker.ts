/**
 * The engine's thread: receives requests, posts events. A thread named `TOY_CLIP_THREAD` answers a `ToyClipRequest`
 * with a `ToyClipResult` instead: one file for both, so that they share the code for video that they load.
 */
import type { BenchEvent, BenchRequest } from './bench-protocol';
import { Engine } from './engine';
import type { ModelEvent, ModelRequest } from './model-protocol';
import type { EngineEvent, EngineRequest } from './protocol';
import { TOY_CLIP_THREAD, type ToyClipRequest, type ToyClipResult } from './toy-clip-protocol';
import type { TrainingEvent, TrainingRequest } from './training-protocol';

if (self.name === TOY_CLIP_THREAD) answerToyClips();
else startEngine();

function startEngine(): void {
  const engine = new Engine(
    (event: EngineEvent | TrainingEvent | BenchEvent | ModelEvent, transfer: Transferable[] = []) =>
      postMessage(event, { transfer }),
  );
  addEventListener(
    'message',
    ({ data }: MessageEvent<EngineRequest | TrainingRequest | BenchRequest | ModelRequest>) =>
      engine.handle(data),
  );
}

function answerToyClips(): void {
  addEventListener('message', async ({ data }: MessageEvent<ToyClipRequest>) => {
    let result: ToyClipResult;
    try {
      const { makeToyClipFile } = await import('./toy-clip');
      result = await makeToyClipFile(data.seed);
    } catch (cause) {
      result = { problem: cause instanceof Error ? cause.message : String(cause) };
    }
    postMessage(result);
  });
}
