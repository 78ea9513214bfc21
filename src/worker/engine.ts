import { type Gpu, openGpu } from '../gpu/device';
import { TinyLlava } from '../model/tiny-llava';
import { Preprocessor } from '../video/preprocessor';
import { type FileStore, urlStore } from '../weights/file-store';
import { AnswerWriter } from './answer-writer';
import { engineError } from './engine-error';
import type { EngineEvent, EngineRequest, ErrorScope, ModelSource } from './protocol';
import { type EncodedVideo, readVideo } from './video-reader';

type Request<T extends EngineRequest['type']> = Extract<EngineRequest, { type: T }>;
type Post = (event: EngineEvent, transfer?: Transferable[]) => void;

function openStore(source: ModelSource): FileStore {
  if (source.kind === 'url') return urlStore(source.url);
  throw new Error('Models from files on disk cannot be opened yet.');
}

/** What is on the GPU: dropped as a whole when the device is lost. */
interface Session {
  gpu: Gpu;
  model: TinyLlava;
  writer: AnswerWriter;
  preprocessor: Preprocessor;
}

/**
 * The engine behind the protocol. Requests run one after another; a newer video ends the one being read and the
 * answer being written, `stop` ends the answer at once. When the GPU is lost, model and video are loaded again.
 */
export class Engine {
  private session: Session | undefined;
  private video: EncodedVideo | undefined;
  private lastModel: Request<'load-model'> | undefined;
  private lastVideo: Request<'open-video'> | undefined;
  private tail: Promise<void> = Promise.resolve();
  private reading: AbortController | undefined;
  private answering: AbortController | undefined;

  constructor(private readonly post: Post) {}

  /** Takes a request; what it leads to is posted as events. */
  handle(request: EngineRequest): void {
    switch (request.type) {
      case 'stop':
        this.answering?.abort();
        return;
      case 'cancel-video':
        this.reading?.abort();
        return;
      case 'load-model':
        this.interrupt();
        this.enqueue('model', request.id, undefined, () => this.loadModel(request));
        return;
      case 'open-video': {
        this.interrupt();
        const reading = new AbortController();
        this.reading = reading;
        this.enqueue('video', request.id, reading.signal, () => this.openVideo(request, reading.signal));
        return;
      }
      case 'ask': {
        const answering = new AbortController();
        this.answering = answering;
        this.enqueue('ask', request.id, answering.signal, () => this.ask(request, answering.signal));
      }
    }
  }

  private interrupt(): void {
    this.reading?.abort();
    this.answering?.abort();
  }

  private enqueue(
    scope: ErrorScope,
    id: number,
    signal: AbortSignal | undefined,
    job: () => Promise<void>,
  ): void {
    this.tail = this.tail.then(async () => {
      try {
        await job();
      } catch (cause) {
        // An aborted request was replaced by a newer one, which has the page's attention.
        if (signal?.aborted && cause === signal.reason) return;
        this.post({ type: 'error', id, error: engineError(scope, cause) });
      }
      this.reportMemory();
    });
  }

  private async loadModel(request: Request<'load-model'>): Promise<void> {
    await this.closeSession();
    const progress = (label: string, done: number, total: number) =>
      this.post({ type: 'progress', scope: 'model', id: request.id, label, done, total });
    progress('Opening the GPU', 0, 0);
    const gpu = await openGpu();
    this.post({ type: 'gpu', adapter: gpu.adapter, f16: gpu.f16, subgroups: gpu.subgroups });
    try {
      const model = await TinyLlava.load(gpu, openStore(request.source), {
        ...(request.backend ? { backend: request.backend } : {}),
        onProgress: ({ stage, done, total }) =>
          progress(stage === 'weights' ? 'Loading the weights' : 'Compiling shaders', done, total),
      });
      const writer = await AnswerWriter.create(gpu, model);
      const preprocessor = await Preprocessor.create(
        gpu,
        model.config.vision_config.image_size,
        model.normalisation,
      );
      this.session = { gpu, model, writer, preprocessor };
      this.lastModel = request;
      void gpu.lost.then((reason) => this.recover(gpu, reason));
      const { config } = model;
      this.post({
        type: 'model-ready',
        id: request.id,
        model: {
          name: request.name,
          parameters: model.parameters,
          weightBytes: model.weights.bytes,
          frames: config.num_frames,
          visualTokens: config.connector.num_queries,
          imageSize: config.vision_config.image_size,
          vocabSize: config.text_config.vocab_size,
          backend: model.backend,
        },
      });
    } catch (cause) {
      gpu.close();
      throw cause;
    }
  }

  private async openVideo(request: Request<'open-video'>, signal: AbortSignal): Promise<void> {
    const { gpu, model, writer, preprocessor } = this.needSession();
    signal.throwIfAborted();
    // Encoding needs the memory more than forks of the old video's answers do.
    writer.forget();
    const { id } = request;
    const file = Object.assign(request.file.slice(0, request.file.size, request.file.type), {
      name: request.name,
    });
    let frames = 0;
    const progress = (label: string, done: number, total: number) =>
      this.post({ type: 'progress', scope: 'video', id, label, done, total });
    progress('Reading the video', 0, 0);
    const video = await readVideo(
      gpu,
      model,
      preprocessor,
      file,
      request.sampling ?? 'uniform',
      {
        onScan: (bytesDone, total) => progress('Scanning the file', bytesDone, total),
        onInfo: (info) => {
          frames = info.sampledTimes.length;
          this.post({ type: 'video-info', id, video: info });
        },
        onFrame: (index, time, thumbnail) => {
          this.post({ type: 'frame', id, index, time, thumbnail }, [thumbnail]);
          if (index + 1 < frames) progress(`Reading frame ${index + 2} of ${frames}`, index + 1, frames);
          else progress('Encoding the frames', frames, frames);
        },
      },
      signal,
    );
    this.video?.visual.buffer.destroy();
    this.video = video;
    this.lastVideo = request;
    this.post({ type: 'video-ready', id, readMs: video.readMs, encodeMs: video.encodeMs });
  }

  private async ask(request: Request<'ask'>, signal: AbortSignal): Promise<void> {
    const { writer } = this.needSession();
    if (!this.video) throw new Error('Open a video first, then ask about it.');
    await writer.write(request, this.video.visual, signal, this.post);
  }

  private needSession(): Session {
    if (!this.session) throw new Error('No model is loaded. Choose one, then try again.');
    return this.session;
  }

  private async recover(lost: Gpu, reason: string): Promise<void> {
    if (this.session?.gpu !== lost) return;
    this.interrupt();
    this.session = undefined;
    this.video = undefined;
    this.post({ type: 'device-lost', reason });
    const { lastModel, lastVideo } = this;
    if (lastModel) this.handle(lastModel);
    if (lastVideo) this.handle(lastVideo);
  }

  private async closeSession(): Promise<void> {
    const { session } = this;
    this.session = undefined;
    this.video = undefined;
    if (!session) return;
    await session.model.destroy();
    session.writer.destroy();
    session.preprocessor.destroy();
    session.gpu.close();
  }

  private reportMemory(): void {
    const memory = this.session?.gpu.memory;
    if (memory) this.post({ type: 'memory', bytes: memory.bytes, peakBytes: memory.peakBytes });
  }
}
