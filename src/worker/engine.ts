import { AdapterShelf } from './adapter-shelf';
import { AskedAdapters } from './asked-adapters';
import type { BenchEvent, BenchRequest } from './bench-protocol';
import { engineError, lostAgain, NoModelError } from './engine-error';
import { KernelDesk } from './kernel-desk';
import { LossLimit } from './loss-limit';
import { ModelDesk } from './model-desk';
import type { ModelEvent, ModelRequest } from './model-protocol';
import { ModelSeat } from './model-seat';
import type { Loaded } from './open-session';
import type { EngineEvent, EngineRequest, ErrorScope } from './protocol';
import { isLost, lossOf, type Session } from './session';
import type { NamedSession } from './training/desk-engine';
import { TrainingDoor } from './training/training-door';
import type { TrainingEvent, TrainingRequest } from './training-protocol';
import { type EncodedVideo, readVideo } from './video-reader';

type Request<T extends EngineRequest['type']> = Extract<EngineRequest, { type: T }>;
type Post = (event: EngineEvent | TrainingEvent | BenchEvent | ModelEvent, transfer?: Transferable[]) => void;

/**
 * The engine behind the protocol. Requests run one after another, but for a model's weights, which may come beside. A
 * newer video ends the one being read and the answer being written, `stop` ends the answer at once. When the GPU is
 * lost, model and video are loaded again; when a model cannot be loaded, the one before it stays.
 */
export class Engine {
  private video: EncodedVideo | undefined;
  private readonly losses = new LossLimit();
  private lastVideo: Request<'open-video'> | undefined;
  private tail: Promise<void> = Promise.resolve();
  private reading: AbortController | undefined;
  private answering: AbortController | undefined;
  private readonly asked = new AskedAdapters();
  private readonly shelf = new AdapterShelf();
  private readonly training: TrainingDoor;
  private readonly kernels: KernelDesk;
  private readonly models: ModelDesk;
  private readonly seat: ModelSeat;

  constructor(private readonly post: Post) {
    this.training = new TrainingDoor(
      {
        post,
        session: () => this.named(),
        enqueue: (id, job) =>
          this.enqueue('train', id, undefined, () => {
            const session = this.named();
            if (!session) throw new NoModelError();
            return job(session);
          }),
        testKernels: (session) => this.kernels.testTraining(session),
      },
      this.shelf,
    );
    this.kernels = new KernelDesk({
      post,
      enqueue: (id, signal, job) => void this.enqueue('bench', id, signal, () => job(this.needSession())),
    });
    this.models = new ModelDesk({
      post,
      gpu: () => this.session?.gpu,
      beside: (id, job) =>
        void job().catch((cause: unknown) => post({ type: 'error', id, error: engineError('model', cause) })),
      alone: (id, job) => void this.enqueue('model', id, undefined, () => job(this.session?.gpu)),
    });
    this.seat = new ModelSeat({
      post,
      kernels: this.kernels,
      models: this.models,
      interrupt: () => this.interrupt(),
      pause: () => {
        this.kernels.interrupt();
        this.training.pause();
      },
      enqueue: (id, job) => void this.enqueue('model', id, undefined, job),
      tellError: (id, cause) => this.tellError('model', id, cause),
      emptied: () => {
        this.video = undefined;
      },
      taken: (session, again) => {
        this.video = undefined;
        // The files of adapters stay where it is the same model again, after a loss.
        if (!again) this.shelf.clear();
        void session.gpu.lost.then((reason) => this.recover(session, reason));
      },
    });
  }

  /** Takes a request; what it leads to is posted as events. */
  handle(request: EngineRequest | TrainingRequest | BenchRequest | ModelRequest): void {
    switch (request.type) {
      case 'stop':
        this.answering?.abort();
        return;
      case 'cancel-video':
        this.reading?.abort();
        return;
      case 'load-model':
        this.seat.load(request);
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
        return;
      }
      case 'cancel-load':
        this.seat.cancel(request.discard);
        return;
      case 'list-models':
      case 'delete-model':
      case 'plan-model':
        this.models.handle(request);
        return;
      case 'self-test':
      case 'bench':
      case 'stop-bench':
        this.kernels.handle(request);
        return;
      default:
        this.training.handle(request);
    }
  }

  private get session(): Loaded | undefined {
    return this.seat.session;
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
  ): Promise<void> {
    this.tail = this.tail.then(async () => {
      const { session } = this;
      try {
        // What went wrong and was not told belongs to an earlier request.
        await session?.gpu.memory.check().catch(() => undefined);
        const running = job();
        // Work on a lost GPU may never end: the queue goes on without it.
        await (session ? Promise.race([running, lossOf(session.gpu)]) : running);
      } catch (cause) {
        // An aborted request was replaced by a newer one, which has the page's attention.
        if (signal?.aborted && cause === signal.reason) return;
        // The loss is told as such, not as what it made of a request.
        if (session && (await isLost(session.gpu, cause))) return;
        this.tellError(scope, id, cause);
      }
      this.reportMemory();
    });
    return this.tail;
  }

  private tellError(scope: ErrorScope, id: number, cause: unknown): void {
    // After a load that failed: which one is still there.
    const kept = this.session?.request.id;
    const model_kept = scope === 'model' && kept !== undefined && kept !== id ? { model_kept: kept } : {};
    this.post({ type: 'error', id, error: engineError(scope, cause), ...model_kept });
  }

  private async openVideo(request: Request<'open-video'>, signal: AbortSignal): Promise<void> {
    const session = this.needSession();
    const { gpu, model, writer, preprocessor } = session;
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
    // The GPU was lost meanwhile, and the queue went on without this.
    if (this.session !== session) return;
    this.video?.visual.buffer.destroy();
    this.video = video;
    this.lastVideo = request;
    this.post({ type: 'video-ready', id, readMs: video.readMs, encodeMs: video.encodeMs });
  }

  private async ask(request: Request<'ask'>, signal: AbortSignal): Promise<void> {
    const session = this.needSession();
    if (!this.video) throw new Error('Open a video first, then ask about it.');
    const own = this.asked.add(request);
    const decoders = [];
    for (const adapter of own.adapters ?? ['']) decoders.push(await this.shelf.decoder(session, adapter));
    await session.writer.write(own, this.video.visual, signal, this.post, decoders);
  }

  private named(): NamedSession | undefined {
    return this.session && { ...this.session, name: this.session.request.name };
  }

  private needSession(): Session {
    if (!this.session) throw new NoModelError();
    return this.session;
  }

  private recover(lost: Loaded, reason: string): void {
    if (this.session !== lost) return;
    this.interrupt();
    this.video = undefined;
    const { lastVideo } = this;
    const { last, beside } = this.seat.lose();
    const recovers = this.losses.recovers(performance.now());
    this.training.lost(recovers);
    if (!recovers) {
      // Loads that are under way end with it.
      const ended = new Set([...this.seat.giveUp(reason), lost.request.id]);
      for (const id of ended) this.post({ type: 'error', id, error: lostAgain(reason) });
      return;
    }
    this.post({ type: 'device-lost', reason });
    if (last) this.seat.loadNext(last);
    if (lastVideo) this.handle(lastVideo);
    // A load beside it was lost as well: it goes on from what was kept.
    if (beside && beside !== last) this.seat.load(beside);
  }

  private reportMemory(): void {
    const { memory } = this.session?.gpu ?? {};
    if (memory) this.post({ type: 'memory', bytes: memory.bytes, peakBytes: memory.peakBytes });
  }
}
