import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EngineClient, type ModelChoice } from '../../src/app/engine-client';
import type { EngineWorker } from '../../src/app/engine-threads';
import type { EngineEvent, EngineRequest, ModelInfo } from '../../src/worker/protocol';

const toy: ModelChoice = { name: 'toy', source: { kind: 'url', url: 'https://a.test/toy/' } };
const mine: ModelChoice = { name: 'mine', source: { kind: 'files', files: [] } };
const recorded: ModelChoice = { ...toy, name: 'recorded', recorded: true };
const model = { name: 'toy' } as ModelInfo;

/** A client, the requests that it sent with the worker's kind, and a way to answer them. */
function start() {
  const sent: (EngineRequest & { to: 'model' | 'recorded' })[] = [];
  let worker: EngineWorker | undefined;
  const client = new EngineClient((isRecorded) => {
    worker = {
      onmessage: null,
      onerror: null,
      terminate() {},
      postMessage: (request: EngineRequest) =>
        void sent.push({ ...request, to: isRecorded ? 'recorded' : 'model' }),
    };
    return worker;
  });
  const emit = (event: EngineEvent) => {
    worker!.onmessage!.call(worker as Worker, { data: event } as MessageEvent);
    vi.runAllTimers();
  };
  return { client, sent, emit };
}

describe('EngineClient', () => {
  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal('isSecureContext', true);
    vi.stubGlobal('navigator', { gpu: {} });
    vi.stubGlobal('VideoDecoder', class {});
    vi.stubGlobal('document', { visibilityState: 'hidden' });
  });
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });

  it('gives a video that nothing is recorded about to the model that comes next', () => {
    const { client, sent, emit } = start();
    client.loadModel(recorded);
    emit({ type: 'model-ready', id: 1, model });
    client.openVideo(new Blob(['x']), 'mine.mp4');
    const error = { scope: 'video', code: 'not-recorded', title: 'No.', message: 'Not recorded.' } as const;
    emit({ type: 'error', id: 2, error });
    expect(client.store.getState()).toMatchObject({ video: { status: 'failed' }, errors: { video: error } });
    client.loadModel(toy);
    expect(sent.at(-2)).toMatchObject({ type: 'load-model', name: 'toy', to: 'model' });
    expect(sent.at(-1)).toMatchObject({ type: 'open-video', name: 'mine.mp4', to: 'model' });
    expect(client.store.getState().video?.status).toBe('reading');
    expect(client.store.getState().errors.video).toBeUndefined();
  });

  it('starts the model again that stayed, not the one that could not be loaded', () => {
    const { client, sent, emit } = start();
    client.loadModel(toy);
    emit({ type: 'model-ready', id: 1, model });
    client.loadModel(mine);
    const error = { scope: 'model', code: 'checkpoint', title: 'No.', message: 'No.' } as const;
    emit({ type: 'error', id: 2, error, model_kept: 1 });
    expect(client.store.getState().model).toMatchObject({ id: 1, name: 'toy', status: 'ready' });
    client.restart();
    expect(sent.at(-1)).toMatchObject({ type: 'load-model', name: 'toy', source: toy.source });
  });

  it('loads a large model beside the one that answers, and gives it the video when it is there', () => {
    const { client, sent, emit } = start();
    client.loadModel(toy);
    emit({ type: 'model-ready', id: 1, model });
    client.openVideo(new Blob(['x']), 'mine.mp4');
    emit({ type: 'video-ready', id: 2, readMs: 1, encodeMs: 1 });
    client.loadModel({ name: 'large', source: { kind: 'url', url: 'https://b.test/' }, keep: true });
    expect(sent.at(-1)).toMatchObject({ type: 'load-model', name: 'large', beside: true });
    emit({ type: 'progress', scope: 'model', id: 3, label: 'Weights', done: 1, total: 4, bytes: true });
    expect(client.store.getState()).toMatchObject({
      model: { name: 'toy', status: 'ready' },
      nextModel: { name: 'large', progress: { done: 1 } },
      video: { status: 'ready' },
    });
    emit({ type: 'model-ready', id: 3, model: { ...model, name: 'large' } });
    expect(client.store.getState()).toMatchObject({
      model: { name: 'large', status: 'ready' },
      video: { status: 'reading' },
    });
    expect(client.store.getState().nextModel).toBeUndefined();
    expect(sent.at(-1)).toMatchObject({ type: 'open-video', name: 'mine.mp4' });
    expect(client.lastTried()).toBeUndefined();
  });

  it('knows which load beside another failed', () => {
    const { client, emit } = start();
    client.loadModel(toy);
    emit({ type: 'model-ready', id: 1, model });
    client.loadModel({ ...mine, keep: true });
    const error = { scope: 'model', code: 'checkpoint', title: 'No.', message: 'No.' } as const;
    emit({ type: 'error', id: 2, error, model_kept: 1 });
    expect(client.store.getState().model).toMatchObject({ name: 'toy', status: 'ready' });
    expect(client.store.getState().errors.model?.message).toBe('No. toy stays loaded.');
    expect(client.lastTried()).toMatchObject({ name: 'mine' });
  });
});
