import { GpuError, GpuMemoryError } from '../gpu/errors';
import { DamagedKeepError } from '../weights/errors';
import { AdapterShelf } from './adapter-shelf';
import { AskedAdapters } from './asked-adapters';
import type { BenchEvent, BenchRequest } from './bench-protocol';
import { engineError, lostAgain, NoModelError } from './engine-error';
import { KernelDesk } from './kernel-desk';
import { LossLimit } from './loss-limit';
import { ModelDesk, type PreparedLoad } from './model-desk';
import type { ModelEvent, ModelRequest } from './model-protocol';
import { type Loaded, type LoadProgress, openSession } from './open-session';
import type { EngineEvent, EngineRequest, ErrorScope } from './protocol';
import { closeSession, isLost, lossOf, type Session } from './session';
import type { NamedSession } from './training/training-desk';
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
  private session: Loaded | undefined;
  private video: EncodedVideo | undefined;
  /** The model that is loaded, or that is being loaded. */
  private lastModel: Request<'load-model'> | undefined;
  private readonly losses = new LossLimit();
  /** Set from a loss until a model is loaded again. */
  private lost = false;
  private lastVideo: Request<'open-video'> | undefined;
  /** Ends the load that is in the queue. */
  private loading: AbortController | undefined;
  /** The load that goes on beside the queue, and what ends it. */
  private beside: { request: Request<'load-model'>; loading: AbortController } | undefined;
  private tail: Promise<void> = Promise.resolve();
  private reading: AbortController | undefined;
  private answering: AbortController | undefined;
  private readonly asked = new AskedAdapters();
  private readonly shelf = new AdapterShelf();
  private readonly training: TrainingDoor;
  private readonly kernels: KernelDesk;
  private readonly models: ModelDesk;

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
        if (request.beside) void this.loadBeside(request);
        else this.loadNext(request);
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
        (this.beside?.loading ?? this.loading)?.abort();
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

  /** Ends what is under way, and then loads a model. */
  private loadNext(request: Request<'load-model'>): void {
    for (const load of [this.beside?.loading, this.loading]) load?.abort();
    this.beside = undefined;
    const { signal } = (this.loading = new AbortController());
    this.interrupt();
    this.kernels.interrupt();
    this.training.pause();
    this.enqueue('model', request.id, undefined, () => this.loadModel(request, signal));
  }

  /** Loads a model whose weights come beside what goes on; the queue waits for the rest of it alone. */
  private async loadBeside(request: Request<'load-model'>): Promise<void> {
    this.beside?.loading.abort();
    const beside = { request, loading: new AbortController() };
    this.beside = beside;
    let leave = () => {};
    const left = new Promise<void>((resolve) => {
      leave = resolve;
    });
    const isNewest = () => this.beside === beside;
    const takeTurn = () =>
      new Promise<void>((resolve) => {
        this.kernels.interrupt();
        this.training.pause();
        this.enqueue('model', request.id, undefined, () => {
          resolve();
          return left;
        });
      });
    try {
      await this.loadModel(request, beside.loading.signal, { takeTurn, isNewest });
    } catch (cause) {
      // One that a newer load has ended is told of nowhere.
      if (isNewest()) this.tellError('model', request.id, cause);
    } finally {
      if (this.beside === beside) this.beside = undefined;
      leave();
    }
  }

  /**
   * Loads a model in the place of the one before.
   * @param beside left out, it is this load's turn. Else `takeTurn`, called once the weights are there, waits for what
   * is in the queue, and `isNewest` says whether no newer load has taken the place of this one.
   */
  private async loadModel(
    request: Request<'load-model'>,
    signal: AbortSignal,
    beside?: { takeTurn: () => Promise<void>; isNewest: () => boolean },
  ): Promise<void> {
    // The model that stays where this one cannot be loaded, and the request for it; known from this load's turn on.
    let before: { kept: Loaded | undefined; lastModel: Request<'load-model'> | undefined } | undefined;
    const begin = async () => {
      if (before) return before;
      await beside?.takeTurn();
      signal.throwIfAborted();
      before = { kept: this.session, lastModel: this.lastModel };
      this.lastModel = request;
      return before;
    };
    const progress: LoadProgress = (label, done, total, bytes) =>
      this.post({
        type: 'progress',
        scope: 'model',
        id: request.id,
        label,
        done,
        total,
        ...(bytes ? { bytes } : {}),
      });
    if (!beside) await begin();
    progress('Opening the GPU', 0, 0);
    let load: PreparedLoad;
    let session: Loaded;
    try {
      load = await this.models.prepare(request, signal);
      session = await this.loadOnGpu(request, load, progress, begin).catch(async (cause: unknown) => {
        if (!(cause instanceof GpuMemoryError)) throw cause;
        signal.throwIfAborted();
        const place = await begin();
        const old = place.kept;
        if (!old || this.session !== old) throw cause;
        // There is no room for both: the one before goes, and none is left where this fails too.
        progress('Making room on the GPU', 0, 0);
        place.kept = undefined;
        this.session = undefined;
        this.video = undefined;
        await closeSession(old);
        load = await this.models.prepare(request, signal);
        return this.loadOnGpu(request, load, progress, begin);
      });
    } catch (cause) {
      if (before && this.session === before.kept) this.lastModel = before.kept && before.lastModel;
      throw cause;
    }
    const { kept, lastModel } = await begin();
    const newer = beside?.isNewest() === false;
    if (newer && this.session === kept) this.lastModel = kept && lastModel;
    if (newer || (kept && this.session !== kept)) {
      // A newer load takes its place; or the GPU was lost in the meantime, and this request is in the queue again.
      await closeSession(session);
      return;
    }
    // The files of adapters stay where it is the same model again, after a loss.
    if (lastModel !== request) this.shelf.clear();
    this.session = session;
    this.lost = false;
    this.video = undefined;
    void session.gpu.lost.then((reason) => this.recover(session, reason));
    if (kept) await closeSession(kept);
    const { model } = session;
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
        precision: model.precision,
      },
    });
    load.finished();
  }

  /** Opens the GPU and loads what was prepared; what is damaged of a kept model is loaded from where it came from. */
  private async loadOnGpu(
    request: Request<'load-model'>,
    load: PreparedLoad,
    progress: LoadProgress,
    begin: () => Promise<unknown>,
  ): Promise<Loaded> {
    const { post, kernels, lost } = this;
    const once = (prepared: PreparedLoad) =>
      openSession(request, prepared, { post, kernels, lost, progress, begin });
    try {
      return await once(load);
    } catch (cause) {
      if (!(cause instanceof DamagedKeepError) || !load.anew) throw cause;
      const anew = await load.anew();
      const session = await once(anew);
      load.finished = anew.finished;
      return session;
    }
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
    this.session = undefined;
    this.video = undefined;
    this.lost = true;
    void closeSession(lost);
    const { lastModel, lastVideo, beside } = this;
    const recovers = this.losses.recovers(performance.now());
    this.training.lost(recovers);
    if (!recovers) {
      // Loads that are under way end with it.
      for (const load of [beside?.loading, this.loading]) load?.abort(new GpuError('lost', reason));
      this.beside = undefined;
      const ended = new Set([beside?.request, lastModel, lost.request].flatMap((load) => load?.id ?? []));
      for (const id of ended) this.post({ type: 'error', id, error: lostAgain(reason) });
      return;
    }
    this.post({ type: 'device-lost', reason });
    if (lastModel) this.loadNext(lastModel);
    if (lastVideo) this.handle(lastVideo);
    // A load beside it was lost as well: it goes on from what was kept.
    if (beside && beside.request !== lastModel) this.handle(beside.request);
  }

  private reportMemory(): void {
    const { memory } = this.session?.gpu ?? {};
    if (memory) this.post({ type: 'memory', bytes: memory.bytes, peakBytes: memory.peakBytes });
  }
}
