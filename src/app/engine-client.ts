import { createStore, type StoreApi } from 'zustand/vanilla';
import type { BenchShapes } from '../worker/bench-protocol';
import type {
  BlockBackend,
  EngineEvent,
  ErrorScope,
  FrameSampling,
  ModelPrecision,
  ModelSource,
  Question,
  SamplingSettings,
} from '../worker/protocol';
import type { AdapterInfo, TrainingRequest } from '../worker/training-protocol';
import { type AnyEvent, type AnyRequest, type CreateWorker, EngineThreads } from './engine-threads';
import { DeskClient } from './models/desk-client';
import { missingCapability } from './recorded/capabilities';
import {
  type BenchAction,
  type BenchNews,
  type BenchState,
  INITIAL_BENCH_STATE,
  isBenchNews,
  reduceBench,
} from './store/bench-state';
import { isDeskNews } from './store/desk-state';
import {
  BASE,
  type EngineState,
  INITIAL_ENGINE_STATE,
  runningAnswer,
  usableAdapters,
} from './store/engine-state';
import { EventBatch } from './store/event-batch';
import { type PageAction, reduceEvent } from './store/reduce-event';
import { isTrainingNews, type TrainingNews } from './training-news';

/** A model to load. `backend` forces a dense backend, `precision` how it is stored. `recorded` plays recordings instead: nothing is computed. */
export interface ModelChoice {
  name: string;
  source: ModelSource;
  backend?: BlockBackend;
  /** Keep its weights in this browser. */
  keep?: boolean;
  precision?: ModelPrecision;
  recorded?: boolean;
}

/**
 * The page's side of the engine: starts the worker, numbers the requests, and folds the engine's events into
 * `store`, at most once per animation frame.
 */
export class EngineClient {
  readonly store: StoreApi<EngineState> = createStore<EngineState>(() => INITIAL_ENGINE_STATE);
  /** What the engine says about its kernels. */
  readonly bench: StoreApi<BenchState> = createStore<BenchState>(() => INITIAL_BENCH_STATE);
  /** Models on disk, and what one that is not loaded would take. */
  readonly desk = new DeskClient({
    newId: () => this.newId(),
    send: (request) => this.threads.sendDesk(request, this.choice?.recorded ?? false),
  });
  /** Takes what the engine says about training: the Train page's part of the client, once it is there. */
  onTraining: ((event: TrainingNews) => void) | undefined;
  /** Told that the engine's thread is gone, and what ran in it. */
  onGone: (() => void) | undefined;
  private readonly threads: EngineThreads;
  private readonly batch = new EventBatch((events) => this.take(events));
  private choice: ModelChoice | undefined;
  /** By the id of their load: one that fails goes back to the one before. */
  private readonly choices = new Map<number, ModelChoice>();
  private nextId = 1;

  constructor(createWorker: CreateWorker) {
    this.threads = new EngineThreads(
      createWorker,
      (event) => this.receive(event),
      (detail) => this.crashed(detail),
    );
  }

  /**
   * Loads a model, starting the engine where it does not run, and then reads the video that is open. One that takes
   * its time comes beside the model that is there, which goes on answering. A browser that lacks what it takes gets an
   * error in the store instead (`missingCapability`).
   */
  loadModel(choice: ModelChoice): void {
    const recorded = choice.recorded ?? false;
    const { model } = this.store.getState();
    const slow = choice.keep || choice.source.kind === 'kept';
    const beside = slow && !recorded && !model.recorded && ['ready', 'loading'].includes(model.status);
    if (!beside) {
      // Another model in the place of one that answers: what is being written ends with the old one.
      this.stop();
      if (recorded !== (this.choice?.recorded ?? false)) this.dropWorker();
      this.choice = choice;
    }
    const id = this.nextId++;
    this.choices.set(id, choice);
    const { name, source, backend, keep, precision } = choice;
    this.desk.tell({ type: 'page/loading' });
    this.dispatch({ type: 'page/load-model', id, name, source, recorded, ...(beside ? { beside } : {}) });
    const missing = recorded ? undefined : missingCapability();
    if (missing) {
      this.dispatch({ type: 'error', id, error: missing });
      return;
    }
    this.send({
      type: 'load-model',
      id,
      source,
      name,
      ...(backend ? { backend } : {}),
      ...(keep ? { keep } : {}),
      ...(precision ? { precision } : {}),
      ...(beside ? { beside } : {}),
    });
    if (!beside) this.reopenVideo();
  }

  /** The load that was tried last and did not succeed; undefined where the last one did. */
  lastTried(): ModelChoice | undefined {
    const last = Math.max(...this.choices.keys());
    return last > this.store.getState().model.id ? this.choices.get(last) : undefined;
  }

  /** Loads the model of the last `loadModel` again, with a new worker, and then the video that was open. */
  restart(): void {
    this.dropWorker();
    if (this.choice) this.loadModel(this.choice);
  }

  /**
   * Reads a video. One that is already open stays kept until the new one is ready. Where no model is loaded, the file
   * waits for one.
   */
  openVideo(file: Blob, name: string, sampling: FrameSampling = 'uniform'): void {
    const id = this.nextId++;
    const url = URL.createObjectURL(file);
    this.dispatch({ type: 'page/open-video', id, file, name, url, sampling });
    this.sendVideo();
  }

  /** Reads the open video again with its frames chosen in another way. */
  resample(sampling: FrameSampling): void {
    const { video } = this.store.getState();
    if (video && video.status !== 'failed' && video.sampling !== sampling)
      this.openVideo(video.file, video.name, sampling);
  }

  /** Ends the reading of a video; the one before it, if there was one, is open again. */
  cancelVideo(): void {
    const { video } = this.store.getState();
    if (video?.status !== 'reading') return;
    if (this.threads.running) this.send({ type: 'cancel-video' });
    this.dispatch({ type: 'page/cancel-video' });
    // The engine keeps its last readable video, but one that it never finished is not there.
    if (this.store.getState().video?.status === 'reading') this.reopenVideo();
  }

  /**
   * Asks about the open video, `num_generations` times at once. `label` is the letter of the right option, where it
   * is known.
   */
  ask(
    question: Question,
    settings: SamplingSettings,
    {
      num_generations = 1,
      label,
      adapters = [BASE],
    }: {
      num_generations?: number;
      label?: string | undefined;
      /** Answer so often with each of these, '' being the base. Those that are not loaded any more are left out. */
      adapters?: readonly string[];
    } = {},
  ): void {
    if (runningAnswer(this.store.getState())) return;
    const known = usableAdapters(this.store.getState(), adapters);
    const id = this.nextId++;
    this.dispatch({ type: 'page/ask', id, question, settings, num_generations, label, adapters: known });
    this.send({
      type: 'ask',
      id,
      question,
      settings,
      num_generations,
      ...(label ? { label } : {}),
      ...(known.every((adapter) => adapter === BASE) ? {} : { adapters: known }),
    });
  }

  /**
   * Continues a sample of an answer from another token: the `alternative` (an id) of the one at index `position`. The
   * new answer stands beside the old one. Does nothing where there is no such token or alternative.
   */
  fork(answerId: number, sample: number, position: number, alternative: number): void {
    const before = this.store.getState();
    if (runningAnswer(before)) return;
    const id = this.nextId++;
    this.dispatch({ type: 'page/fork', id, answer: answerId, sample, position, alternative });
    const answer = this.store.getState().answers.at(-1);
    if (answer?.id !== id) return;
    const { question, settings, label } = answer;
    const tokens = answer.samples[0]!.tokens.map((token) => token.id);
    this.send({
      type: 'ask',
      id,
      question,
      settings,
      num_generations: 1,
      ...(label ? { label } : {}),
      fork: { ask: answerId, sample, tokens },
    });
  }

  /** Ends the answer being written; what was written stays. */
  stop(): void {
    if (runningAnswer(this.store.getState())) this.send({ type: 'stop' });
  }

  /** A number for a request that another part of the page sends with `sendTraining`. */
  newId(): number {
    return this.nextId++;
  }

  /** Sends a message about training. */
  sendTraining(request: TrainingRequest): void {
    this.send(request);
  }

  /** Says whether a run holds the GPU: answering waits until it is paused. */
  setTraining(training: boolean): void {
    if (this.store.getState().training !== training) this.dispatch({ type: 'page/training', training });
  }

  /** The adapters that are loaded beside the base. */
  setAdapters(adapters: readonly AdapterInfo[]): void {
    this.dispatch({ type: 'page/adapters', adapters });
  }

  /** Measures all kernels. Does nothing while they are measured or tested. */
  measureKernels(shapes: BenchShapes): void {
    if (this.kernelsBusy()) return;
    const id = this.nextId++;
    this.tellBench({ type: 'page/bench', id });
    this.send({ type: 'bench', id, shapes });
  }

  /** Holds the model's kernels to their references again. Does nothing while they are measured or tested. */
  testKernels(): void {
    if (this.kernelsBusy()) return;
    const id = this.nextId++;
    this.tellBench({ type: 'page/self-test', id });
    this.send({ type: 'self-test', id });
  }

  /** Ends a measurement; what was measured stays. */
  stopMeasuring(): void {
    if (this.bench.getState().status === 'running') this.send({ type: 'stop-bench' });
  }

  private kernelsBusy(): boolean {
    const { status } = this.bench.getState();
    return status === 'running' || status === 'testing';
  }

  private tellBench(event: BenchNews | BenchAction): void {
    this.bench.setState(reduceBench(this.bench.getState(), event), true);
  }

  /** Takes an error off the page. */
  dismiss(scope: ErrorScope): void {
    this.dispatch({ type: 'page/dismiss', scope });
  }

  /** Ends the worker; what it posted and nobody has seen yet is dropped. */
  private dropWorker(): void {
    this.tellBench({ type: 'page/engine-gone' });
    this.desk.tell({ type: 'page/engine-gone' });
    this.threads.drop();
    this.batch.drop();
    this.onGone?.();
  }

  private send(request: AnyRequest): void {
    this.threads.send(request, this.choice?.recorded ?? false);
  }

  private receive(event: AnyEvent): void {
    if (isBenchNews(event)) this.tellBench(event);
    else if (isDeskNews(this.desk.store.getState(), event)) this.desk.tell(event);
    else if (isTrainingNews(event)) this.onTraining?.(event);
    else {
      this.batch.add(event);
      if (event.type === 'device-lost') this.tellBench({ type: 'page/gpu-lost' });
      if (event.type !== 'progress' || !event.bytes) return;
      const { id, done, total, kept = false } = event;
      const { model, nextModel } = this.store.getState();
      // Not those of a load before, nor of the model that is loaded beside it.
      if (id !== (nextModel ?? model).id) return;
      this.desk.tell({ type: 'page/loaded', time: performance.now(), done, total, kept });
    }
  }

  private take(events: readonly EngineEvent[]): void {
    const before = this.store.getState();
    const after = events.reduce<EngineState>(reduceEvent, before);
    this.commit(before, after);
    for (const event of events) {
      if (event.type === 'frame' && !keeps(after, event.thumbnail)) event.thumbnail.close();
    }
    // After a loss of the GPU the engine reads its last video again by itself, but not one it was still reading.
    const lost = events.some((event) => event.type === 'device-lost');
    // What was asked before the page knew of it is lost there as well.
    if (lost && runningAnswer(before)) this.send({ type: 'stop' });
    // Nor one whose second reading a newer file has cut short, where that file then failed.
    const fellBack = before.previousVideo !== undefined && after.video === before.previousVideo;
    const unread = lost ? before.video?.status === 'reading' : fellBack && after.video?.status === 'reading';
    // A model that was loaded beside the one before has not seen the video.
    const replaced = after.model.status === 'ready' && after.model.id === before.nextModel?.id;
    // It has opened another one, which the page had turned from meanwhile.
    const displaced = !lost && before.video?.status === 'ready' && after.video?.status === 'reading';
    if (unread || replaced || displaced) this.reopenVideo();
  }

  private dispatch(event: EngineEvent | PageAction): void {
    // What the engine said before comes first: a video that has just become readable would else be forgotten.
    this.batch.flush();
    const before = this.store.getState();
    this.commit(before, reduceEvent(before, event));
  }

  /** Sets the state and frees what the old one held and the new one does not. */
  private commit(before: EngineState, after: EngineState): void {
    if (before === after) return;
    this.store.setState(after, true);
    if (after.model.id !== before.model.id) this.takeChoice(after);
    const urls = new Set([after.video?.url, after.previousVideo?.url]);
    for (const video of [before.video, before.previousVideo]) {
      if (!video) continue;
      if (!urls.has(video.url)) URL.revokeObjectURL(video.url);
      for (const frame of video.frames) if (!keeps(after, frame.thumbnail)) frame.thumbnail.close();
    }
  }

  /** The model in use is another one. Older loads, and with them the files of older models, are forgotten. */
  private takeChoice({ model, previousModel }: EngineState): void {
    this.choice = this.choices.get(model.id);
    for (const id of this.choices.keys())
      if (id < model.id && id !== previousModel?.id) this.choices.delete(id);
  }

  private reopenVideo(): void {
    const { video, errors } = this.store.getState();
    // A model reads what recorded answers are not about.
    const unreadable = video?.status === 'failed' && errors.video?.code !== 'not-recorded';
    if (!video || unreadable) return;
    const id = this.nextId++;
    this.dispatch({ type: 'page/reopen-video', id });
    this.sendVideo();
  }

  /** Sends the video of the state to the engine; without a model it waits for the next `loadModel`. */
  private sendVideo(): void {
    const { model, video } = this.store.getState();
    if (!video || model.status === 'idle' || model.status === 'failed') return;
    const { id, file, name, sampling } = video;
    this.send({ type: 'open-video', id, file, name, ...(sampling === 'uniform' ? {} : { sampling }) });
  }

  private crashed(detail: string): void {
    this.dropWorker();
    const { model } = this.store.getState();
    this.dispatch({
      type: 'error',
      id: model.id,
      error: {
        scope: 'gpu',
        code: 'engine-crashed',
        title: 'The engine stopped.',
        message: `Its thread ended with an error${detail ? ` (${detail})` : ''}. Your question and your video are kept. Start it again.`,
      },
    });
    this.dispatch({ type: 'page/engine-gone' });
  }
}

function keeps(state: EngineState, thumbnail: ImageBitmap): boolean {
  return [state.video, state.previousVideo].some((video) =>
    video?.frames.some((frame) => frame.thumbnail === thumbnail),
  );
}
