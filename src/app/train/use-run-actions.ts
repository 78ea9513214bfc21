import { useMemo } from 'react';
import type { EngineError } from '../../worker/protocol';
import type { RunExport, RunSummary } from '../../worker/training-protocol';
import { chooseModel } from '../models/choose-model';
import { modelName } from '../models/model-url';
import { download, fileStem } from '../shared/download';
import { unzip } from '../shared/unzip';
import { zip } from '../shared/zip';
import { type AppServices, useServices } from '../store/app-services';
import { BASE, type EngineState, type ModelState } from '../store/engine-state';
import { showPage } from '../store/pages';
import { forgetFolder, keepFolder, keptFolder } from './kept-folders';
import { runProblems } from './run-problems';
import { chosenData, type Setup } from './setup-store';
import { type TrainServices, useTrainServices } from './train-services';
import { TrainingError } from './training-client';
import { isActive } from './training-state';
import { type ChosenFolder, reopenFolder, sent } from './video-folder';

/** What the Train page does, for buttons and keys. */
export function useRunActions() {
  const services = useServices();
  const train = useTrainServices();
  return useMemo(() => runActions(services, train), [services, train]);
}

export type RunActions = ReturnType<typeof runActions>;

/** Why no run can start now, as a sentence; undefined where one can. */
export function startBlocker(
  { model }: EngineState,
  { setup }: Pick<TrainServices, 'setup'>,
): string | undefined {
  const state = setup.getState();
  if (Object.keys(runProblems(state.config)).length > 0) return 'A setting needs another value.';
  if (!chosenData(state))
    return state.data === 'files' ? 'Choose the JSONL file and the video folder.' : 'Write a question first.';
  if (state.config.stage === 'cold-start' && state.data === 'own')
    return 'The cold start learns from given traces: take the toy world, or a file of them.';
  const wrong = dataBlocker(state);
  if (wrong) return wrong;
  if (model.recorded) return 'Recorded answers cannot be trained. Choose a model.';
  if (model.status === 'loading') return 'The model is still loading.';
  if (model.status !== 'ready') return 'No model is loaded.';
  return undefined;
}

/** What of the data that is chosen keeps a run from starting. */
function dataBlocker({ data, report, config }: Setup): string | undefined {
  if (data === 'toy' || !report) return undefined;
  if (report.usable === 0) return 'None of the lines can be used: see what is left out.';
  const coldStart = config.stage === 'cold-start';
  if (report.traces && !coldStart) return 'These are traces for the cold start, not questions.';
  if (!report.traces && coldStart) return 'The cold start learns from traces, and these are questions.';
  return undefined;
}

/** The actions of the Train page over the given services. */
export function runActions(services: AppServices, { training, setup, trainView }: TrainServices) {
  const { client, view } = services;
  const toyBase = new URL('models/toy-base/', document.baseURI).href;
  const toy = new URL('models/toy/', document.baseURI).href;
  const at = (url: string) => (model: ModelState) => model.source.kind === 'url' && model.source.url === url;
  /** Shows what went wrong in the middle. */
  const guard = async (work: Promise<unknown>): Promise<void> => {
    try {
      await work;
      training.setError(undefined);
    } catch (error) {
      training.setError(error instanceof TrainingError ? error.error : unknownError(error as Error));
    }
  };
  /** One at a time: a second press while a run begins is none. */
  const begin = async (work: () => Promise<void>): Promise<void> => {
    if (training.store.getState().beginning) return;
    training.setBeginning(true);
    await guard(work());
    training.setBeginning(false);
  };
  /** Loads the toy base where a run was made with it and another model is there; other models are the user's to load. */
  const haveModel = async (run: string) => {
    const { model } = client.store.getState();
    const wanted = training.store.getState().runs?.find((one) => one.run === run)?.model;
    if (wanted !== modelName(toyBase) || model.name === wanted) return;
    chooseModel(services, { kind: 'url', url: toyBase });
    await new Promise<void>((resolve) => {
      const end = client.store.subscribe(({ model: { status } }) => {
        if (status === 'loading') return;
        end();
        resolve();
      });
    });
  };
  /** The videos of a run's kept folder, where they are not at hand. */
  const keptVideos = async (run: string) => {
    const kind = training.store.getState().runs?.find((one) => one.run === run)?.data ?? 'toy';
    const handle = training.hasData(run, kind) ? undefined : await keptFolder(run);
    return handle && reopenFolder(handle);
  };
  const nextName = () => {
    const numbers = (training.store.getState().runs ?? []).map(({ name }) =>
      Number(/^Run (\d+)$/.exec(name)?.[1] ?? 0),
    );
    return `Run ${Math.max(0, ...numbers) + 1}`;
  };
  const live = () => {
    const { live: now, shown } = training.store.getState();
    return now?.run === shown ? now : undefined;
  };
  return {
    isToy: at(toy),
    isToyBase: at(toyBase),
    loadToyBase: () => chooseModel(services, { kind: 'url', url: toyBase }),
    nextName,
    start(): void {
      const state = setup.getState();
      const data = chosenData(state);
      if (!data || startBlocker(client.store.getState(), { setup })) return;
      trainView.setState({ question: undefined });
      const handle = state.data === 'files' ? state.videos?.handle : undefined;
      void begin(async () => {
        const run = await training.startRun(state.name.trim() || nextName(), state.config, data);
        setup.setState({ name: '' });
        if (handle) void keepFolder(run, handle);
      });
    },
    /** Goes on; with the videos of a folder that is kept for the run, or that was chosen again. */
    resume(
      run: string,
      {
        folder,
        ...from
      }: { step?: number; skip_question?: boolean; reward_code?: string; folder?: ChosenFolder } = {},
    ): void {
      trainView.setState({ question: undefined });
      void begin(async () => {
        // First of all: a permission can be asked for in a press alone.
        const videos = folder ?? (await keptVideos(run));
        await haveModel(run);
        await training.resumeRun(run, { ...from, ...(videos ? { videos: sent(videos) } : {}) });
        if (folder?.handle) await keepFolder(run, folder.handle);
      });
    },
    /** Pauses the run that is shown, or lets it go on. */
    togglePause(): boolean {
      const { shown, runs } = training.store.getState();
      const now = live();
      if (isActive(now)) training.pause();
      else if (shown && runs?.find(({ run }) => run === shown)?.state === 'paused') this.resume(shown);
      else return false;
      return true;
    },
    save(): boolean {
      if (live()?.state !== 'running') return false;
      training.save();
      return true;
    },
    /** Sets up a new run with the settings of another one. */
    newRun(config?: ReturnType<typeof setup.getState>['config']): void {
      training.newRun();
      if (config) setup.setState((state) => ({ ...state, preset: 'yours', config, yours: config }));
    },
    show: (run: string) => void guard(training.showRun(run)),
    rename: (run: string, name: string) => void guard(training.rename(run, name)),
    delete: (run: string) => void guard(training.delete(run).then(() => forgetFolder(run))),
    compare(run: string): void {
      const { compared } = trainView.getState();
      const on = !compared.includes(run);
      trainView.setState({ compared: on ? [...compared, run] : compared.filter((one) => one !== run) });
      if (on) void guard(training.readRun(run));
    },
    /** Downloads are named after the run; several files keep their names, which others look for, in one archive. */
    export: ({ run, name }: Pick<RunSummary, 'run' | 'name'>, what: RunExport) =>
      guard(
        training.exportRun(run, what).then(async (files) => {
          const stem = fileStem(name, 'run');
          const [first, ...more] = files;
          if (first && more.length === 0) download(`${stem}-${first.name}`, first.blob);
          else download(`${stem}-${what}.zip`, await zip(files));
        }),
      ),
    /** Opens the Ask page with the base and an adapter answering side by side. */
    ask: (from: Parameters<typeof training.loadAdapter>[0]) =>
      guard(
        ('run' in from ? haveModel(from.run) : Promise.resolve()).then(async () => {
          const adapter = await training.loadAdapter('files' in from ? await unpacked(from) : from);
          if (!adapter) return;
          view.setState({ askAdapters: [BASE, adapter.adapter] });
          showPage('ask');
        }),
      ),
  };
}

/** An adapter's files, where they came in an archive: it gives them its name. */
async function unpacked(from: { files: readonly File[]; name: string }): Promise<typeof from> {
  const [archive] = from.files;
  if (from.files.length !== 1 || !archive || !/\.zip$/i.test(archive.name)) return from;
  return { files: await unzip(archive), name: archive.name.slice(0, -4) };
}

function unknownError(error: Error): EngineError {
  return { scope: 'train', code: 'failed', title: 'That did not work.', message: error.message };
}
