import type { EngineError, EngineEvent, EngineRequest } from '../../worker/protocol';
import type { EngineWorker } from '../engine-threads';
import type { TraceDocument } from '../export/trace-document';
import { playFrames } from './clip-frames';
import { hashFile } from './hash-file';
import { playRecording } from './play-recording';
import { findRecording, loadRecordings, notRecorded } from './recordings';

type Request<T extends EngineRequest['type']> = Extract<EngineRequest, { type: T }>;

/**
 * Stands in the engine's place where no model can run: answers its messages from recordings of the sample clips, at
 * the speed of the recording. It computes nothing, and says so about what was not recorded.
 */
export class RecordedEngine implements EngineWorker {
  onmessage: EngineWorker['onmessage'] = null;
  onerror: EngineWorker['onerror'] = null;
  private documents: TraceDocument[] = [];
  /** Recordings of the open clip. */
  private ofClip: TraceDocument[] = [];
  private tail: Promise<void> = Promise.resolve();
  private reading = new AbortController();
  private answering = new AbortController();
  private readonly base: string;

  /** @param base Address of the folder `samples/`. */
  constructor(base: string) {
    this.base = base;
  }

  postMessage(request: EngineRequest): void {
    switch (request.type) {
      case 'load-model':
        this.enqueue('model', request.id, () => this.load(request));
        return;
      case 'open-video': {
        this.reading.abort();
        this.answering.abort();
        this.reading = new AbortController();
        const { signal } = this.reading;
        this.enqueue('video', request.id, () => this.open(request, signal), signal);
        return;
      }
      case 'cancel-video':
        this.reading.abort();
        return;
      case 'ask': {
        this.answering = new AbortController();
        const { signal } = this.answering;
        this.enqueue('ask', request.id, () => this.ask(request, signal));
        return;
      }
      case 'stop':
        this.answering.abort();
    }
  }

  terminate(): void {
    this.reading.abort();
    this.answering.abort();
    this.onmessage = null;
  }

  private enqueue(
    scope: EngineError['scope'],
    id: number,
    job: () => Promise<void>,
    signal?: AbortSignal,
  ): void {
    this.tail = this.tail.then(job).catch((cause: unknown) => {
      if (signal?.aborted && cause === signal.reason) return;
      const message = cause instanceof Error ? cause.message : String(cause);
      this.post({ type: 'error', id, error: { scope, code: 'not-recorded', title: TITLES[scope], message } });
    });
  }

  private async load({ id }: Request<'load-model'>): Promise<void> {
    this.documents = await loadRecordings(this.base);
    const { model } = this.documents[0]!;
    this.post({
      type: 'model-ready',
      id,
      model: {
        name: model.name,
        parameters: model.parameters ?? 0,
        weightBytes: model.weightBytes ?? 0,
        frames: model.frames ?? 0,
        visualTokens: model.visualTokens ?? 0,
        imageSize: model.imageSize ?? 0,
        vocabSize: model.vocabSize ?? 0,
        backend: model.backend ?? '',
      },
    });
  }

  private async open(
    { id, file, name, sampling }: Request<'open-video'>,
    signal: AbortSignal,
  ): Promise<void> {
    if (this.documents.length === 0) throw new Error('The recorded answers are not loaded.');
    const hash = await hashFile(file);
    signal.throwIfAborted();
    const found = this.documents.filter(({ video }) => video.hash === hash);
    if (found.length === 0)
      throw new Error(
        `Only the sample clips have recorded answers, and ${name} is none. Take a sample clip.`,
      );
    const { video } = found[0]!;
    if ((sampling ?? 'uniform') !== (video.sampling ?? 'uniform'))
      throw new Error(
        `The answers about ${name} were recorded with ${video.sampledTimes?.length ?? 0} even frames.`,
      );
    const times = video.sampledTimes ?? [];
    this.post({
      type: 'video-info',
      id,
      video: {
        name,
        codec: video.codec ?? '',
        width: video.width ?? 0,
        height: video.height ?? 0,
        durationSeconds: video.durationSeconds ?? 0,
        frameCount: video.frameCount ?? 0,
        sampledTimes: times,
      },
    });
    await playFrames(
      file,
      times,
      (index, thumbnail) => this.post({ type: 'frame', id, index, time: times[index]!, thumbnail }),
      signal,
    );
    this.ofClip = found;
    this.post({ type: 'video-ready', id, readMs: video.readMs ?? 0, encodeMs: video.encodeMs ?? 0 });
  }

  private async ask(request: Request<'ask'>, signal: AbortSignal): Promise<void> {
    if (request.fork) throw new Error('Going on from another token needs the model itself.');
    const document = findRecording(this.ofClip, request);
    if (!document) throw new Error(notRecorded(this.ofClip, request));
    await playRecording(document, request.id, signal, (event) => this.post(event));
  }

  private post(event: EngineEvent): void {
    this.onmessage?.call(null as never, { data: event } as MessageEvent<EngineEvent>);
  }
}

const TITLES: Record<EngineError['scope'], string> = {
  gpu: 'The recorded answers cannot be played.',
  model: 'The recorded answers could not be read.',
  video: 'Nothing is recorded about this video.',
  ask: 'This was not recorded.',
  train: 'Nothing can be trained without a GPU.',
  bench: 'Nothing can be measured without a GPU.',
};
