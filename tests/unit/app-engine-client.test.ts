import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EngineClient, type ModelChoice } from '../../src/app/engine-client';
import type { EngineWorker } from '../../src/app/engine-threads';
import type { EngineEvent, EngineRequest, ModelInfo } from '../../src/worker/protocol';

const toy: ModelChoice = { name: 'toy', source: { kind: 'url', url: 'https://a.test/toy/' } };
const mine: ModelChoice = { name: 'mine', source: { kind: 'files', files: [] } };
const recorded: ModelChoice = { ...toy, name: 'recorded', recorded: true };
const model = { name: 'toy' } as ModelInfo;
const settings = { temperature: 1, top_k: 0, top_p: 1, max_new_tokens: 8, seed: 1 };

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

  it('has the video read again that it went back to, where the engine had opened the other one by then', () => {
    const error = { scope: 'video', code: 'corrupt', title: 'No.', message: 'No.' } as const;
    const ends: ((on: ReturnType<typeof start>) => void)[] = [
      ({ client, emit }) => {
        client.cancelVideo();
        emit({ type: 'video-ready', id: 3, readMs: 1, encodeMs: 1 });
      },
      ({ client, emit }) => {
        client.openVideo(new Blob(['z']), 'bad.mp4');
        emit({ type: 'video-ready', id: 3, readMs: 1, encodeMs: 1 });
        emit({ type: 'error', id: 4, error });
      },
    ];
    for (const end of ends) {
      const on = start();
      on.client.loadModel(toy);
      on.emit({ type: 'model-ready', id: 1, model });
      on.client.openVideo(new Blob(['x']), 'first.mp4');
      on.emit({ type: 'video-ready', id: 2, readMs: 1, encodeMs: 1 });
      on.client.openVideo(new Blob(['y']), 'second.mp4');
      end(on);
      expect(on.client.store.getState().video).toMatchObject({ name: 'first.mp4', status: 'reading' });
      expect(on.sent.at(-1)).toMatchObject({ type: 'open-video', name: 'first.mp4' });
      const { id } = on.sent.at(-1) as { id: number };
      on.emit({ type: 'video-ready', id, readMs: 1, encodeMs: 1 });
      expect(on.client.store.getState().video).toMatchObject({ name: 'first.mp4', status: 'ready' });
      expect(on.sent.filter(({ type }) => type === 'open-video').length).toBe(end === ends[0] ? 3 : 4);
    }
  });

  it('ends what the engine takes up again of an answer and a measurement that were lost with the GPU', () => {
    const { client, sent, emit } = start();
    client.loadModel(toy);
    emit({ type: 'model-ready', id: 1, model });
    client.openVideo(new Blob(['x']), 'mine.mp4');
    emit({ type: 'video-ready', id: 2, readMs: 1, encodeMs: 1 });
    client.measureKernels('small');
    client.ask({ text: 'What?', options: [], reasoning: true }, settings);
    emit({ type: 'device-lost', reason: 'Gone.' });
    expect(client.store.getState().answers.at(-1)?.status).toBe('failed');
    expect(sent.at(-1)).toMatchObject({ type: 'stop' });
    expect(client.bench.getState().status).toBe('stopped');
  });

  it('counts the bytes of the newest load alone', () => {
    const { client, emit } = start();
    client.loadModel(toy);
    client.loadModel({ name: 'large', source: { kind: 'url', url: 'https://b.test/' }, keep: true });
    const bytes = (id: number, done: number, total: number) =>
      emit({ type: 'progress', scope: 'model', id, label: 'Weights', done, total, bytes: true });
    bytes(2, 10, 100);
    bytes(1, 3, 8);
    bytes(2, 20, 100);
    expect(client.desk.store.getState().samples.map(({ done }) => done)).toEqual([10, 20]);
  });

  it('tells those who wait for the thread when it ends, also for recorded answers', () => {
    const { client, emit } = start();
    const gone = vi.fn();
    client.onGone = gone;
    client.loadModel(toy);
    emit({ type: 'model-ready', id: 1, model });
    client.loadModel(mine);
    expect(gone).not.toHaveBeenCalled();
    client.loadModel(recorded);
    expect(gone).toHaveBeenCalledTimes(1);
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
