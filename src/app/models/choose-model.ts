import { filesSource } from '../../storage/kept-source';
import type { KeptModel } from '../../worker/model-protocol';
import type { ModelPrecision, ModelSource } from '../../worker/protocol';
import type { ModelChoice } from '../engine-client';
import type { AppServices } from '../store/app-services';
import type { PlanState } from '../store/desk-state';
import type { ModelState } from '../store/engine-state';
import type { ModelFolder } from './folder-files';
import { looseName, missingFiles, withFiles } from './loose-files';
import { type ChosenModel, chosenName, rememberUrl } from './model-store';
import { isOwn, modelName } from './model-url';
import { knownPrecision } from './plan-choice';
import { rememberSpeed } from './remember-speed';

const FOLDERS = { toy: 'models/toy/', recorded: 'samples/' };

/** Bytes from which a model is not loaded before its plan was seen. */
const LARGE = 100e6;

/** Loads a model and remembers the choice. The open video is read again with it; question and settings stay. */
export function chooseModel(
  { client, models, backend }: AppServices,
  chosen: Exclude<ChosenModel, { kind: 'folder' }>,
  precision?: ModelPrecision,
): void {
  models.setState(chosen.kind === 'url' ? rememberUrl(models.getState(), chosen.url) : { chosen });
  client.loadModel({
    name: chosenName(chosen),
    source: sourceOf(chosen),
    ...(chosen.kind === 'url' && !isOwn(chosen.url) ? { keep: true } : {}),
    ...(precision ? { precision } : {}),
    ...(backend ? { backend } : {}),
    ...(chosen.kind === 'recorded' ? { recorded: true } : {}),
  });
}

function sourceOf(chosen: Exclude<ChosenModel, { kind: 'folder' }>): ModelChoice['source'] {
  if (chosen.kind === 'kept') return { kind: 'kept', id: chosen.id };
  if (chosen.kind === 'url') return { kind: 'url', url: chosen.url };
  return { kind: 'url', url: new URL(FOLDERS[chosen.kind], document.baseURI).href };
}

/** Loads a model from files of the user's: a large one once its plan was seen. */
export function chooseFolder(services: AppServices, folder: ModelFolder): void {
  const { name, files } = folder;
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  if (bytes < LARGE) loadFolder(services, folder);
  else {
    askPlan(services, { name, source: { kind: 'files', files } });
    services.view.setState({ dialog: 'models' });
  }
}

/**
 * Takes files that were chosen or dropped without a folder. A whole checkpoint at once is loaded as a folder is; else
 * they are collected, and the list of models says what is missing.
 */
export async function addLooseFiles(services: AppServices, files: readonly File[]): Promise<void> {
  const { desk } = services.client;
  if (files.length === 0) return;
  const before = desk.store.getState().loose;
  desk.tell({ type: 'page/loose', files: withFiles(before, files) });
  if (before.length === 0 && (await missingFiles(files)).length === 0) await loadLooseFiles(services);
  else services.view.setState({ dialog: 'models' });
}

/** Loads the files that were collected. They stay until the model is there: one that is wrong can be replaced. */
export async function loadLooseFiles(services: AppServices): Promise<void> {
  const files = [...services.client.desk.store.getState().loose];
  chooseFolder(services, { name: await looseName(files), files });
}

function loadFolder(
  { client, models, backend }: AppServices,
  { name, files }: Omit<ModelFolder, 'files'> & { files: readonly File[] },
  precision?: ModelPrecision,
): void {
  const chosen: ChosenModel = { kind: 'folder', name };
  models.setState({ chosen, lastFolder: name });
  client.loadModel({
    name,
    source: { kind: 'files', files },
    keep: true,
    ...(precision ? { precision } : {}),
    ...(backend ? { backend } : {}),
  });
}

/**
 * Loads the model at an address: one of another host once it is known to be small, or once its plan was seen.
 * @param precision of what is kept of it, as its row names it.
 */
export function chooseUrl(services: AppServices, url: string, precision?: string): void {
  if (isOwn(url)) chooseModel(services, { kind: 'url', url });
  else
    askPlan(services, {
      name: modelName(url),
      source: { kind: 'url', url },
      ...(precision ? { precision } : {}),
    });
}

/** Asks what a model would take to answer as the question is set up. */
export function askPlan({ client, draft }: AppServices, of: PlanState['of']): void {
  const { num_generations, settings } = draft.getState();
  client.desk.plan(of, { num_generations, max_new_tokens: settings.max_new_tokens });
}

/**
 * Loads what was planned, and asks the browser to keep the files. Without a precision the engine chooses.
 * @param there a kept model that is whole: nothing is fetched then.
 */
export function loadPlanned(
  services: AppServices,
  { of: { name, source } }: Pick<PlanState, 'of'>,
  precision?: ModelPrecision,
  there?: KeptModel,
): void {
  if (there) chooseModel(services, { kind: 'kept', id: there.id, name: there.name });
  else if (source.kind === 'files') loadFolder(services, { name, files: source.files }, precision);
  else if (source.kind === 'url') chooseModel(services, { kind: 'url', url: source.url }, precision);
  // Whether it agrees is seen in the list.
  const asked = navigator.storage?.persist?.();
  asked?.then(
    () => services.client.desk.list(),
    () => undefined,
  );
}

/**
 * Loads what was chosen at the last visit, where that needs no download of another host: else the toy model, and the
 * plan is asked for. The files of a folder are out of reach by now. Where a later choice cannot be loaded and the model
 * before it stays, that one is the chosen one again. From here on, what is planned and small is loaded at once.
 */
export function startModel(services: AppServices): void {
  const { client, models } = services;
  rememberSpeed(services);
  client.store.subscribe(({ model, nextModel }, before) => {
    const back = before.previousModel !== undefined && model.id === before.previousModel.id;
    const stays = before.nextModel && !nextModel && model.id === before.model.id;
    if (model.status === 'ready' && model !== before.model && model.source.kind === 'files')
      client.desk.tell({ type: 'page/loose', files: [] });
    if ((back && model.id !== before.model.id) || stays) models.setState({ chosen: chosenOf(model) });
  });
  client.desk.store.subscribe(({ plan, kept }, before) => {
    if (!plan?.plan || plan === before.plan || plan.of.wanted || plan.plan.download >= LARGE) return;
    loadPlanned(services, plan, knownPrecision(plan.of, plan.plan, kept));
  });
  const { chosen } = models.getState();
  if (chosen.kind === 'kept' || (chosen.kind === 'url' && !isOwn(chosen.url)))
    loadRemembered(services, chosen);
  else chooseModel(services, chosen.kind === 'url' ? chosen : { kind: 'toy' });
}

/** Loads a model that may be kept in this browser, once that is known. */
function loadRemembered(
  services: AppServices,
  chosen: Extract<ChosenModel, { kind: 'kept' } | { kind: 'url' }>,
): void {
  const { client } = services;
  const end = client.desk.store.subscribe(({ kept }) => {
    if (!kept) return;
    end();
    // The user was faster.
    if (client.store.getState().model.status !== 'idle') return;
    const found = kept.find(
      ({ id, source, complete }) =>
        complete && (chosen.kind === 'kept' ? id === chosen.id : source === chosen.url),
    );
    if (found) {
      chooseModel(services, { kind: 'kept', id: found.id, name: found.name });
      return;
    }
    chooseModel(services, { kind: 'toy' });
    if (chosen.kind === 'url') chooseUrl(services, chosen.url);
    else {
      const { id } = client.store.getState().model;
      const message = `${chosen.name} was kept here and is gone: the browser deleted it where the disk got full, or another tab did. Load it again from where it came from.`;
      client.desk.tell({ type: 'not-kept', id, message });
    }
  });
  client.desk.list();
}

/** Loads again what could not be loaded, or was stopped; what was kept of it is not loaded again. */
export function chooseAgain(services: AppServices): void {
  const { name, source, precision } = services.client.lastTried() ?? {};
  if (source?.kind === 'files') loadFolder(services, { name: name!, files: source.files }, precision);
  else if (source?.kind === 'kept') chooseModel(services, { ...source, name: name! });
  else if (source) chooseModel(services, source, precision);
}

/** The `source` of what is kept of a model's address, or of its folder or files by their name. */
export function keptSource(source: Exclude<ModelSource, { kind: 'kept' }>, name: string): string {
  return source.kind === 'url' ? source.url : filesSource(name);
}

/** Whether a part of what was to be loaded is kept in this browser, and no other tab is loading it. */
export function isPartKept({ source, name }: ModelChoice, kept: readonly KeptModel[] | undefined): boolean {
  if (source.kind === 'kept') return false;
  const from = keptSource(source, name);
  return kept?.some((model) => model.source === from && !model.complete && !model.inUse) ?? false;
}

/** What was chosen to load a model. */
export function chosenOf({ name, source, recorded }: ModelState): ChosenModel {
  if (recorded) return { kind: 'recorded' };
  if (source.kind === 'files') return { kind: 'folder', name };
  if (source.kind === 'kept') return { kind: 'kept', id: source.id, name };
  const isToy = source.url === new URL(FOLDERS.toy, document.baseURI).href;
  return isToy ? { kind: 'toy' } : { kind: 'url', url: source.url };
}
