import type { SavedCheckpoint } from '../../storage/checkpoints';
import type { OpenRun, RunStore } from '../../storage/run-store';
import { type AdapterShelf, adapterFiles } from '../adapter-shelf';
import { engineError } from '../engine-error';
import type {
  EvalLine,
  PlannedData,
  RunEvent,
  RunSummary,
  TrainingEvent,
  TrainingRequest,
  VideoFolder,
} from '../training-protocol';
import { checkConfig, checkGrpo } from './check-config';
import type { DeskEngine, NamedSession } from './desk-engine';
import { exportRun, runAdapter } from './export-run';
import { planRunMemory, roomySettings } from './plan-run-memory';
import { readSettled } from './read-settled';
import { checkData, keepData, openSource } from './run-data';
import { RunSession } from './run-session';
import { ScoreCalls } from './score-calls';
import { editRun, newRunId, openRuns, readRun, type StoredRun, storedData, summarise } from './stored-run';

type Request<T extends TrainingRequest['type']> = Extract<TrainingRequest, { type: T }>;

/** A run's time on the GPU. */
interface Turn {
  /** What to say of the run when all of it is free again. */
  ending?: Extract<TrainingEvent, { type: 'run-state' }>;
  /** Another model was asked for before the run was there. */
  tooLate?: true;
}

/** Takes the requests about training: one run goes on at a time, and the disk can be asked about all at any time. */
export class TrainingDesk {
  private current: RunSession | undefined;
  /** Of the run that is about to begin or goes on. */
  private turn: Turn | undefined;
  private files: Promise<RunStore<StoredRun>> | undefined;
  private readonly calls: ScoreCalls;
  private checking: AbortController | undefined;
  /** Videos of runs, which are not kept on disk, by run. */
  private readonly videos = new Map<string, VideoFolder>();

  constructor(
    private readonly engine: DeskEngine,
    private readonly shelf: AdapterShelf,
  ) {
    this.calls = new ScoreCalls(engine.post);
  }

  /** Takes a request; what it leads to is posted as events. */
  handle(request: TrainingRequest): void {
    switch (request.type) {
      case 'start-run':
        void this.begin(request.id, (session) => this.start(request, session));
        break;
      case 'resume-run':
        void this.begin(request.id, (session) => this.resume(request, session));
        break;
      case 'pause-run':
        this.current?.pause();
        break;
      case 'stop-run':
        this.current?.stop();
        break;
      case 'save-run':
        this.current?.save();
        break;
      case 'change-run':
        this.answer(0, () => this.change(request));
        break;
      case 'scores':
        this.calls.reply(request);
        break;
      case 'load-adapter':
        void this.engine.enqueue(request.id, (session) => this.loadAdapter(request, session));
        break;
      case 'unload-adapter':
        void this.engine.enqueue(request.id, async () => {
          this.shelf.unload(request.adapter);
          this.postAdapters(request.id);
        });
        break;
      default:
        this.answer(request.id, () => this.reply(request));
    }
  }

  /** Another model is asked for: the run ends for now, with a checkpoint. */
  pause(): void {
    if (this.turn && !this.current) this.turn.tooLate = true;
    this.current?.pause();
  }

  /**
   * The GPU is lost: the run under way goes on from its last checkpoint once the model is there again. To be called
   * before the model is asked for.
   * @param comesBack whether the engine opens the GPU again.
   */
  lost(comesBack: boolean): void {
    const { current } = this;
    if (!current) return;
    this.current = undefined;
    this.turn = undefined;
    const { run, step } = current;
    const tell = (state: 'compiling' | 'paused', words: { detail?: string; message?: string }) =>
      this.engine.post({ type: 'run-state', run, state, step, ...words });
    void current.abandon().then(async () => {
      const message = `The GPU was reset. Load the model again, then resume from step ${step}.`;
      if (!comesBack) return tell('paused', { message });
      tell('compiling', { detail: 'the GPU was reset, loading the model again' });
      let begun = false;
      await this.begin(0, (session) => {
        begun = true;
        return this.resume({ type: 'resume-run', id: 0, run }, session);
      });
      if (!begun) tell('paused', { message });
    });
  }

  private answer(id: number, job: () => Promise<void>): void {
    job().catch((cause: unknown) =>
      this.engine.post({ type: 'error', id, error: engineError('train', cause) }),
    );
  }

  private async begin(id: number, job: (session: NamedSession) => Promise<void>): Promise<void> {
    if (this.turn) {
      const cause = new Error('A run is going on. Pause it first, then start or resume another.');
      this.engine.post({ type: 'error', id, error: engineError('train', cause) });
      return;
    }
    const turn: Turn = {};
    this.turn = turn;
    await this.engine.enqueue(id, async (session) => {
      if (turn.tooLate)
        throw new Error(
          'Another model was asked for before this run began. Try it again once that is loaded.',
        );
      await job(session);
    });
    // After a loss another turn may have begun.
    if (this.turn !== turn) return;
    this.turn = undefined;
    this.current = undefined;
    if (turn.ending) this.engine.post(turn.ending);
  }

  private async change({ settings }: Request<'change-run'>): Promise<void> {
    const { current } = this;
    if (!current) throw new Error('No run is going on whose settings could change.');
    checkGrpo({ ...current.config.grpo, ...settings }, current.config.stage);
    await current.change(settings);
  }

  private async start(
    { id, name, config, data }: Request<'start-run'>,
    session: NamedSession,
  ): Promise<void> {
    checkConfig(config, session.model);
    const store = await this.store();
    // Asked for once, so that the browser does not make room at the cost of runs; they are kept as well as it can without.
    void navigator.storage.persist?.().catch(() => false);
    const now = Date.now();
    const open = await store.create({
      version: 1,
      run: newRunId(now),
      name,
      created: now,
      model: session.name,
      config,
      data: storedData(data),
      state: 'compiling',
      saved_step: 0,
    });
    const { run } = open.header;
    try {
      await keepData(open, data);
    } catch (cause) {
      await open.close();
      await store.remove(run);
      throw cause;
    }
    const videos = data.kind === 'files' ? data : undefined;
    await this.go(session, open, { id, videos, began: ['started', 'started'] });
  }

  private async resume(request: Request<'resume-run'>, session: NamedSession): Promise<void> {
    const { id, run, step, videos, settings = {} } = request;
    const store = await this.store();
    const open = await store.open(run);
    const { model, name, saved_step, config } = open.header;
    let checkpoint: SavedCheckpoint | undefined;
    try {
      if (model !== session.name)
        throw new Error(
          `${name} trains the model ${model}, and ${session.name} is loaded. Load ${model} first.`,
        );
      checkGrpo({ ...config.grpo, ...settings });
      checkpoint = step === 0 ? undefined : await store.checkpoint(run, step);
      const from = checkpoint?.step ?? 0;
      await open.cutAfter(from);
      await open.update({ saved_step: from });
      const tell = async (code: RunEvent['code'], text: string) => {
        const event: RunEvent = { step: from, code, text, time: Date.now() };
        this.engine.post({ type: 'run-event', run, event });
        await open.append('events', [event]);
      };
      if (from < saved_step) await tell('went-back', `from step ${saved_step}`);
      for (const edited of await editRun(open, request)) await tell(...edited);
    } catch (cause) {
      await open.close();
      throw cause;
    }
    const began: [RunEvent['code'], string] = ['resumed', `goes on from step ${checkpoint?.step ?? 0}`];
    await this.go(session, open, { id, videos, checkpoint, began });
  }

  private async go(
    session: NamedSession,
    open: OpenRun<StoredRun>,
    {
      id,
      videos,
      checkpoint,
      began,
    }: {
      id: number;
      videos: VideoFolder | undefined;
      checkpoint?: SavedCheckpoint | undefined;
      began: [RunEvent['code'], string];
    },
  ): Promise<void> {
    const { header } = open;
    const { run, config } = header;
    const store = await this.store();
    let running: RunSession;
    let data: PlannedData;
    try {
      const known = videos ?? this.videos.get(run);
      const evals = await store.lines<EvalLine>(run, 'evals');
      // Answers and their forks leave the room to the run.
      session.writer.forget();
      const source = await openSource(session, store, open, known);
      data = { longest: source.longest, held_out: source.heldOutCount };
      // Not before: another folder than the run's is refused.
      if (known) this.videos.set(run, known);
      const { post, testKernels } = this.engine;
      const use = { ...session, source, calls: this.calls, post, testKernels: () => testKernels(session) };
      running = new RunSession(
        use,
        open,
        evals.map(({ step }) => step),
      );
    } catch (cause) {
      const fresh = began[0] === 'started';
      if (!fresh)
        await open.update({ state: header.saved_step > 0 ? 'paused' : 'failed' }).catch(() => undefined);
      await open.close();
      // Of a run that did not even begin nothing is left.
      if (fresh) await store.remove(run);
      throw cause;
    }
    this.current = running;
    if (this.turn?.tooLate) running.pause();
    const summary = await summarise(store, header, new Set([run]), 'compiling');
    this.engine.post({ type: 'run-started', id, run: summary, config });
    const { turn } = this;
    const { cause, noRoom, ...ending } = await running.go(checkpoint, ...began);
    // The run has given back what it held: now what would fit can be found.
    const fits = noRoom ? await roomySettings(session, running.config, noRoom, data) : {};
    if (turn) turn.ending = { type: 'run-state', run, step: running.step, ...ending, ...fits };
    if (cause) throw cause;
  }

  private async reply(
    request: Request<
      'check-data' | 'plan-memory' | 'list-runs' | 'read-run' | 'rename-run' | 'delete-run' | 'export-run'
    >,
  ): Promise<void> {
    const { id } = request;
    const { post } = this.engine;
    if (request.type === 'check-data') return this.checkData(request);
    if (request.type === 'plan-memory') return this.planMemory(request);
    const store = await this.store();
    switch (request.type) {
      case 'rename-run':
        if (this.current?.run === request.run) await this.current.rename(request.name);
        else await store.rename(request.run, request.name);
        return this.listRuns(id, store);
      case 'delete-run':
        if (this.current?.run === request.run)
          throw new Error('This run is going on. Pause or stop it, then delete it.');
        await store.remove(request.run);
        this.videos.delete(request.run);
        return this.listRuns(id, store);
      case 'list-runs':
        return this.listRuns(id, store);
      case 'read-run':
        return post({
          type: 'run-data',
          id,
          ...(await this.settled(() =>
            readRun(store, request.run, (header, held) => this.summarise(store, header, held)),
          )),
        });
      case 'export-run': {
        const { run, what } = request;
        post({ type: 'run-files', id, run, what, files: await exportRun(store, run, what) });
      }
    }
  }

  private async planMemory({ id, config, data }: Request<'plan-memory'>): Promise<void> {
    const { post, session, enqueue } = this.engine;
    const plan = async (loaded: NamedSession, probe: boolean) => {
      checkConfig(config, loaded.model);
      post({ type: 'memory-plan', id, plan: await planRunMemory(loaded, config, { probe, data }) });
    };
    const loaded = session();
    // While a run goes on nothing is probed, so as not to take what it is about to need.
    if (this.turn && loaded) return plan(loaded, false);
    await enqueue(id, (ready) => plan(ready, true));
  }

  private async checkData({ id, data }: Request<'check-data'>): Promise<void> {
    this.checking?.abort(new Error('Other data is checked now.'));
    const checking = new AbortController();
    this.checking = checking;
    const { post, session } = this.engine;
    const onProgress = (done: number, total: number) => {
      if (done % 16 === 0)
        post({
          type: 'progress',
          scope: 'train',
          id,
          label: `Looking at videos, ${done} of ${total}`,
          done,
          total,
        });
    };
    const report = await checkData(data, session()?.model, onProgress, checking.signal);
    post({ type: 'data-report', id, report });
  }

  private async listRuns(id: number, store: RunStore<StoredRun>): Promise<void> {
    const runs = await this.settled(async () => {
      const held = await store.held();
      const headers = await store.list();
      return Promise.all(headers.map((header) => this.summarise(store, header, held)));
    });
    this.engine.post({ type: 'runs', id, runs });
  }

  private settled<T>(read: () => Promise<T>): Promise<T> {
    return readSettled(() => [this.turn, this.current], read);
  }

  private summarise(
    store: RunStore<StoredRun>,
    header: StoredRun,
    held: ReadonlySet<string>,
  ): Promise<RunSummary> {
    const live = this.current?.run === header.run ? this.current.state : undefined;
    return summarise(store, header, held, live);
  }

  private async loadAdapter({ id, from }: Request<'load-adapter'>, session: NamedSession): Promise<void> {
    if ('files' in from) await this.shelf.load(session, await adapterFiles(from.files), { name: from.name });
    else {
      const { header, step, files } = await runAdapter(await this.store(), from.run);
      if (header.model !== session.name)
        throw new Error(
          `This adapter belongs to the model ${header.model}, and ${session.name} is loaded. Load ${header.model} first.`,
        );
      await this.shelf.load(session, files, { name: header.name, run: header.run, step });
    }
    this.postAdapters(id);
  }

  private postAdapters(id: number): void {
    this.engine.post({ type: 'adapters', id, adapters: this.shelf.adapters });
  }

  private store(): Promise<RunStore<StoredRun>> {
    this.files ??= openRuns(() => this.engine.post({ type: 'runs-changed' }));
    return this.files;
  }
}
