import type { EngineEvent, EngineRequest, Question, SamplingSettings, Trace } from '../../worker/protocol';

type Body<T> = T extends { id: number } ? Omit<T, 'id'> : never;

/** The page's engine without the page: the same worker and messages, one request at a time, as promises. */
export class EngineSession {
  private readonly worker = new Worker(new URL('../../worker/worker.ts', import.meta.url), {
    type: 'module',
  });
  private id = 0;

  /** Loads a model from a folder URL. */
  async loadModel(url: string, name: string): Promise<void> {
    await this.request({ type: 'load-model', source: { kind: 'url', url }, name }, 'model-ready');
  }

  /** Opens and encodes a video; rejects with the engine's sentence where it cannot be read. */
  async openVideo(file: Blob, name: string): Promise<void> {
    await this.request({ type: 'open-video', file, name }, 'video-ready');
  }

  /** Answers a question about the open video. */
  async ask(question: Question, settings: SamplingSettings): Promise<Trace> {
    let trace: Trace | undefined;
    await this.request({ type: 'ask', question, settings, num_generations: 1 }, 'ask-done', (event) => {
      if (event.type === 'answered') trace = event.trace;
    });
    if (!trace) throw new Error('The engine ended a question without an answer.');
    return trace;
  }

  /** Sends a request; resolves with its event of type `until`, after `onEvent` has seen all of its events. */
  request<T extends EngineEvent['type']>(
    body: Body<EngineRequest>,
    until: T,
    onEvent: (event: EngineEvent) => void = () => {},
  ): Promise<Extract<EngineEvent, { type: T }>> {
    const id = ++this.id;
    return new Promise((resolve, reject) => {
      const finish = () => {
        this.worker.removeEventListener('message', onMessage);
        this.worker.removeEventListener('error', onError);
      };
      const onError = (event: ErrorEvent) => {
        finish();
        reject(new Error(`The engine failed: ${event.message}`));
      };
      const onMessage = ({ data }: MessageEvent<EngineEvent>) => {
        if (data.type === 'frame') data.thumbnail.close();
        // Facts of the GPU carry no id.
        if (data.type === 'gpu') onEvent(data);
        if (!('id' in data) || data.id !== id) return;
        onEvent(data);
        if (data.type === 'error') {
          finish();
          reject(new Error(`${data.error.title} ${data.error.message}`));
        } else if (data.type === until) {
          finish();
          resolve(data as Extract<EngineEvent, { type: T }>);
        }
      };
      this.worker.addEventListener('message', onMessage);
      this.worker.addEventListener('error', onError);
      this.worker.postMessage({ ...body, id } as EngineRequest);
    });
  }
}
