import { GpuError, GpuMemoryError } from '../gpu/errors';
import { DamagedKeepError } from '../weights/errors';
import { discardReason, isDiscarded } from './discard-load';
import { LoadStoppedError } from './engine-error';
import type { KernelDesk } from './kernel-desk';
import type { LoadRequest, ModelDesk, PreparedLoad } from './model-desk';
import { type Loaded, type LoadProgress, openSession } from './open-session';
import type { EngineEvent } from './protocol';
import { closeSession } from './session';

/** What the seat asks of the engine around it. */
export interface SeatPlace {
  post: (event: EngineEvent) => void;
  kernels: KernelDesk;
  models: ModelDesk;
  /** Ends what the page waits for: the video being read, the answer being written. */
  interrupt: () => void;
  /** Ends benches and runs for now, as another model is about to come. */
  pause: () => void;
  /** Runs a job when those before it are done; what goes wrong is told. */
  enqueue: (id: number, job: () => Promise<void>) => void;
  tellError: (id: number, cause: unknown) => void;
  /** The model before had to go before another was there. */
  emptied: () => void;
  /** A model is there. `again`: the same one as before, after a loss. */
  taken: (session: Loaded, again: boolean) => void;
}

/**
 * The seat of the one model that is loaded, and the loads that want it. A newer load ends one before it; where a model
 * cannot be loaded, the one before it stays.
 */
export class ModelSeat {
  /** The model that is loaded. */
  session: Loaded | undefined;
  /** The request for the model that is loaded, or that is being loaded. */
  private last: LoadRequest | undefined;
  /** Set from a loss until a model is loaded again. */
  private lost = false;
  /** Ends the load that is in the queue. */
  private loading: AbortController | undefined;
  /** The load that goes on beside the queue, and what ends it. */
  private beside: { request: LoadRequest; loading: AbortController } | undefined;

  constructor(private readonly place: SeatPlace) {}

  /** Loads a model; what it leads to is posted. */
  load(request: LoadRequest): void {
    if (request.beside) void this.loadBeside(request);
    else this.loadNext(request);
  }

  /** Ends the load that goes on, the one beside the queue first. @param discard what was kept of it goes too. */
  cancel(discard = false): void {
    (this.beside?.loading ?? this.loading)?.abort(discard ? discardReason() : undefined);
  }

  /** The GPU is lost, and the model with it. @returns the loads that would bring back what was there. */
  lose(): { last: LoadRequest | undefined; beside: LoadRequest | undefined } {
    const { session, last } = this;
    this.session = undefined;
    this.lost = true;
    if (session) void closeSession(session);
    return { last, beside: this.beside?.request };
  }

  /** Ends all loads for good, as the GPU does not come back. @returns their ids. */
  giveUp(reason: string): number[] {
    const { beside, last } = this;
    for (const load of [beside?.loading, this.loading]) load?.abort(new GpuError('lost', reason));
    this.beside = undefined;
    return [beside?.request, last].flatMap((load) => load?.id ?? []);
  }

  /** Ends what is under way, and then loads a model. */
  loadNext(request: LoadRequest): void {
    for (const load of [this.beside?.loading, this.loading]) load?.abort();
    this.beside = undefined;
    const { signal } = (this.loading = new AbortController());
    this.place.interrupt();
    this.place.pause();
    this.place.enqueue(request.id, () => this.loadModel(request, signal));
  }

  /** Loads a model whose weights come beside what goes on; the queue waits for the rest of it alone. */
  private async loadBeside(request: LoadRequest): Promise<void> {
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
        this.place.pause();
        this.place.enqueue(request.id, () => {
          resolve();
          return left;
        });
      });
    try {
      await this.loadModel(request, beside.loading.signal, { takeTurn, isNewest });
    } catch (cause) {
      // One that a newer load has ended is told of nowhere.
      if (isNewest()) this.place.tellError(request.id, cause);
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
    request: LoadRequest,
    signal: AbortSignal,
    beside?: { takeTurn: () => Promise<void>; isNewest: () => boolean },
  ): Promise<void> {
    // The model that stays where this one cannot be loaded, and the request for it; known from this load's turn on.
    let before: { kept: Loaded | undefined; last: LoadRequest | undefined } | undefined;
    const begin = async () => {
      if (before) return before;
      await beside?.takeTurn();
      signal.throwIfAborted();
      before = { kept: this.session, last: this.last };
      this.last = request;
      return before;
    };
    let told: Parameters<LoadProgress> = ['', 0, 0];
    const tell: LoadProgress = (label, done, total, weights) =>
      this.place.post({
        type: 'progress',
        scope: 'model',
        id: request.id,
        label,
        done,
        total,
        ...weights,
      });
    const progress: LoadProgress = (...at) => {
      told = at;
      tell(...at);
    };
    // Several requests may wait; the words stay until none does, or something arrives.
    let waits = 0;
    const onWait = (waiting: boolean) => {
      waits += waiting ? 1 : -1;
      const [label, ...rest] = told;
      tell(waits > 0 ? 'Waiting for the hub, which limits requests' : label, ...rest);
    };
    if (!beside) await begin();
    progress('Loading the model', 0, 0);
    let load: PreparedLoad | undefined;
    let session: Loaded;
    try {
      load = await this.place.models.prepare(request, { signal, onWait });
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
        this.place.emptied();
        await closeSession(old);
        load = await this.place.models.prepare(request, { signal, onWait });
        return this.loadOnGpu(request, load, progress, begin);
      });
    } catch (cause) {
      if (before && this.session === before.kept) this.last = before.kept && before.last;
      if (!load || !(cause instanceof DOMException) || cause.name !== 'AbortError') throw cause;
      const discard = isDiscarded(signal) ? load.discard : undefined;
      throw new LoadStoppedError(await (discard?.() ?? load.leaves()), { cause });
    }
    const { kept, last } = await begin();
    const newer = beside?.isNewest() === false;
    if (newer && this.session === kept) this.last = kept && last;
    if (newer || (kept && this.session !== kept)) {
      // A newer load takes its place; or the GPU was lost in the meantime, and this request is in the queue again.
      await closeSession(session);
      return;
    }
    this.session = session;
    this.lost = false;
    this.place.taken(session, last === request);
    if (kept) await closeSession(kept);
    const { model } = session;
    const { config } = model;
    this.place.post({
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
  }

  /** Opens the GPU and loads what was prepared; what is damaged of a kept model is loaded from where it came from. */
  private async loadOnGpu(
    request: LoadRequest,
    load: PreparedLoad,
    progress: LoadProgress,
    begin: () => Promise<unknown>,
  ): Promise<Loaded> {
    const { lost } = this;
    const { post, kernels } = this.place;
    const once = (prepared: PreparedLoad) =>
      openSession(request, prepared, { post, kernels, lost, progress, begin });
    try {
      return await once(load);
    } catch (cause) {
      if (!(cause instanceof DamagedKeepError) || !load.anew) throw cause;
      const anew = await load.anew();
      const session = await once(anew);
      load.leaves = anew.leaves;
      load.discard = anew.discard;
      return session;
    }
  }
}
