import { createStore, type StoreApi } from 'zustand/vanilla';
import type { EngineError } from '../../worker/protocol';
import type {
  AdapterInfo,
  DataReport,
  LiveSettings,
  MemoryPlan,
  PlannedData,
  RunConfig,
  RunExport,
  TrainingData,
  TrainingEvent,
  TrainingRequest,
  VideoFolder,
} from '../../worker/training-protocol';
import type { EngineClient } from '../engine-client';
import { reduceTraining, summaryOf, type TrainingAction } from './reduce-training';
import { RewardFailure, type ScoreInput } from './reward-sandbox';
import { INITIAL_TRAINING_STATE, isActive, type TrainingState } from './training-state';

type Numbered<T> = T extends { id: number } ? Omit<T, 'id'> : never;
type Reply = Extract<TrainingEvent, { id: number }>;

/** Runs a user's reward function. Rejects with what was wrong with it. */
export type ScoreAnswers = (code: string, answers: readonly ScoreInput[]) => Promise<number[]>;

/** Requests that wait for the GPU. */
const ON_GPU: readonly TrainingRequest['type'][] = ['start-run', 'resume-run', 'load-adapter', 'plan-memory'];

/** What the engine could not do, as an exception. */
export class TrainingError extends Error {
  constructor(readonly error: EngineError) {
    super(error.message);
  }
}

/**
 * The Train page's side of the engine: asks it about runs, folds its events into `store`, and gives it the scores of a
 * user's own reward function.
 */
export class TrainingClient {
  readonly store: StoreApi<TrainingState> = createStore<TrainingState>(() => INITIAL_TRAINING_STATE);
  private readonly waiting = new Map<
    number,
    { type: TrainingRequest['type']; resolve: (event: Reply) => void; reject: (error: Error) => void }
  >();
  /** The videos of runs, by run, where they were chosen in this tab: they are not kept on disk. */
  private readonly videos = new Map<string, VideoFolder>();
  private refreshing = false;
  private refreshAgain = false;

  constructor(
    private readonly engine: EngineClient,
    private readonly score: ScoreAnswers,
  ) {
    engine.onTraining = (event) => this.receive(event);
    engine.onGone = () => this.engineGone();
    engine.store.subscribe(({ model, recovering }, before) => {
      if (model.status === 'failed' && before.model.status !== 'failed') this.engineGone();
      if (recovering && !before.recovering) this.gpuLost();
    });
  }

  /** @throws TrainingError (rejects) where the runs cannot be listed. */
  async listRuns(): Promise<void> {
    await this.ask({ type: 'list-runs' });
  }

  /** Shows a run, and reads it where that was not done yet. */
  async showRun(run: string): Promise<void> {
    this.dispatch({ type: 'page/show-run', run });
    await this.readRun(run);
  }

  /** Sets up a new run. */
  newRun(): void {
    this.dispatch({ type: 'page/show-run', run: undefined });
  }

  /** Lists the runs anew: another tab may have gone on with them. What is shown is read again where it did. */
  async refresh(): Promise<void> {
    const { shown } = this.store.getState();
    const known = shown === undefined ? undefined : this.store.getState().records[shown]?.run;
    await this.listRuns();
    const { live, runs } = this.store.getState();
    const now = runs?.find(({ run }) => run === shown);
    if (!known || !now || (live?.run === shown && isActive(live))) return;
    if (now.step !== known.step || now.saved_step !== known.saved_step || now.state !== known.state)
      await this.ask({ type: 'read-run', run: now.run });
  }

  /** Refreshes now, or once more after the refresh under way: what it has read may be from before the change. */
  private async refreshSoon(): Promise<void> {
    if (this.refreshing) {
      this.refreshAgain = true;
      return;
    }
    this.refreshing = true;
    do {
      this.refreshAgain = false;
      await this.refresh().catch(() => undefined);
    } while (this.refreshAgain);
    this.refreshing = false;
  }

  async readRun(run: string): Promise<void> {
    if (!this.store.getState().records[run]) await this.ask({ type: 'read-run', run });
  }

  async checkData(data: TrainingData): Promise<DataReport> {
    return (await this.ask({ type: 'check-data', data })).report;
  }

  /** What a run would take, with the questions that a report on its data knows of. */
  async planMemory(config: RunConfig, report?: PlannedData): Promise<MemoryPlan> {
    const data = report && { longest: report.longest, held_out: report.held_out };
    return (await this.ask({ type: 'plan-memory', config, ...(data ? { data } : {}) })).plan;
  }

  /** Starts a run. @returns its id. */
  async startRun(name: string, config: RunConfig, data: TrainingData): Promise<string> {
    const { run } = await this.ask({ type: 'start-run', name, config, data });
    if (data.kind === 'files') this.videos.set(run.run, data);
    return run.run;
  }

  /**
   * Goes on from the last checkpoint, or from the one at `step`. `videos` where a run's folder is chosen again;
   * `skip_question` leaves out the question that a reward failed on, `reward_code` is the user's own reward from now on.
   * Settings that were changed meanwhile hold.
   */
  async resumeRun(
    run: string,
    from: { step?: number; videos?: VideoFolder; skip_question?: boolean; reward_code?: string } = {},
  ): Promise<void> {
    const videos = from.videos ?? this.videos.get(run);
    const settings = this.store.getState().records[run]?.changes;
    await this.ask({
      type: 'resume-run',
      run,
      ...from,
      ...(videos ? { videos } : {}),
      ...(settings ? { settings } : {}),
    });
    if (videos) this.videos.set(run, videos);
  }

  /** Whether all that a run needs is at hand: a folder's videos only where they were chosen in this tab. */
  hasData(run: string, kind: TrainingData['kind']): boolean {
    return kind !== 'files' || this.videos.has(run);
  }

  pause(): void {
    this.engine.sendTraining({ type: 'pause-run' });
    this.dispatch({ type: 'page/ending', how: 'pause' });
  }

  stop(): void {
    this.engine.sendTraining({ type: 'stop-run' });
    this.dispatch({ type: 'page/ending', how: 'stop' });
  }

  save(): void {
    this.engine.sendTraining({ type: 'save-run' });
  }

  change(run: string, settings: LiveSettings): void {
    this.engine.sendTraining({ type: 'change-run', settings });
    this.dispatch({ type: 'page/changed', run, settings });
  }

  /** Settings that a paused run is to go on with. */
  setChanges(run: string, changes: LiveSettings): void {
    this.dispatch({ type: 'page/changes', run, changes });
  }

  async rename(run: string, name: string): Promise<void> {
    const before = summaryOf(this.store.getState(), run)?.name;
    this.dispatch({ type: 'page/renamed', run, name });
    try {
      await this.ask({ type: 'rename-run', run, name });
    } catch (error) {
      if (before !== undefined) this.dispatch({ type: 'page/renamed', run, name: before });
      throw error;
    }
  }

  async delete(run: string): Promise<void> {
    await this.ask({ type: 'delete-run', run });
    this.videos.delete(run);
    this.dispatch({ type: 'page/deleted', run });
  }

  async exportRun(run: string, what: RunExport): Promise<{ name: string; blob: Blob }[]> {
    return (await this.ask({ type: 'export-run', run, what })).files;
  }

  /** Loads an adapter for the Ask page. Returns it. */
  async loadAdapter(
    from: Extract<TrainingRequest, { type: 'load-adapter' }>['from'],
  ): Promise<AdapterInfo | undefined> {
    const { adapters } = await this.ask({ type: 'load-adapter', from });
    return 'run' in from ? adapters.findLast((one) => one.run === from.run) : adapters.at(-1);
  }

  /** Says that a run is asked to start or to go on, or no longer. */
  setBeginning(on: boolean): void {
    this.dispatch({ type: 'page/beginning', on });
  }

  /** Shows an error in the page's middle, or takes it off. */
  setError(error: EngineError | undefined): void {
    this.dispatch({ type: 'page/train-error', error });
  }

  private ask(
    request: Numbered<Extract<TrainingRequest, { type: 'list-runs' | 'rename-run' | 'delete-run' }>>,
  ): Promise<Reply>;
  private ask(request: Numbered<Extract<TrainingRequest, { type: 'read-run' }>>): Promise<Reply>;
  private ask(
    request: Numbered<Extract<TrainingRequest, { type: 'check-data' }>>,
  ): Promise<Of<'data-report'>>;
  private ask(
    request: Numbered<Extract<TrainingRequest, { type: 'plan-memory' }>>,
  ): Promise<Of<'memory-plan'>>;
  private ask(
    request: Numbered<Extract<TrainingRequest, { type: 'start-run' | 'resume-run' }>>,
  ): Promise<Of<'run-started'>>;
  private ask(request: Numbered<Extract<TrainingRequest, { type: 'export-run' }>>): Promise<Of<'run-files'>>;
  private ask(request: Numbered<Extract<TrainingRequest, { type: 'load-adapter' }>>): Promise<Of<'adapters'>>;
  private ask(request: Numbered<TrainingRequest>): Promise<Reply> {
    const id = this.engine.newId();
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { type: request.type, resolve, reject });
      this.engine.sendTraining({ ...request, id } as TrainingRequest);
    });
  }

  private receive(event: TrainingEvent | { type: 'error'; id: number; error: EngineError }): void {
    if (event.type === 'error') {
      const waiting = this.waiting.get(event.id);
      this.waiting.delete(event.id);
      if (waiting) waiting.reject(new TrainingError(event.error));
      else this.dispatch({ type: 'page/train-error', error: event.error });
      return;
    }
    if (event.type === 'score-answers') void this.scoreAnswers(event);
    // A hidden page looks when it is seen again.
    if (event.type === 'runs-changed' && document.visibilityState === 'visible') void this.refreshSoon();
    if (event.type === 'adapters') this.engine.setAdapters(event.adapters);
    this.dispatch(event);
    if ('id' in event) {
      this.waiting.get(event.id)?.resolve(event);
      this.waiting.delete(event.id);
    }
  }

  private async scoreAnswers({ call, code, answers }: Of<'score-answers'>): Promise<void> {
    try {
      const scores = await this.score(
        code,
        answers.map(({ text, ...rest }) => ({ completion: text, ...rest })),
      );
      this.engine.sendTraining({ type: 'scores', call, scores });
    } catch (error) {
      const failure =
        error instanceof RewardFailure
          ? { reward: error.reward, error: error.reason, failed: error.failed }
          : { error: (error as Error).message };
      this.engine.sendTraining({ type: 'scores', call, ...failure });
    }
  }

  private dispatch(event: TrainingEvent | TrainingAction): void {
    const next = reduceTraining(this.store.getState(), event);
    this.store.setState(next, true);
    this.engine.setTraining(isActive(next.live));
  }

  /** What was asked of the GPU is lost with it, and the engine does not answer. */
  private gpuLost(): void {
    for (const [id, { type, reject }] of this.waiting) {
      if (!ON_GPU.includes(type)) continue;
      this.waiting.delete(id);
      reject(new Error('The GPU was reset before this was done. Try it again once the model is back.'));
    }
  }

  private engineGone(): void {
    for (const { reject } of this.waiting.values()) reject(new Error('The engine stopped.'));
    this.waiting.clear();
    this.dispatch({ type: 'page/engine-gone' });
  }
}

type Of<T extends TrainingEvent['type']> = Extract<TrainingEvent, { type: T }>;
