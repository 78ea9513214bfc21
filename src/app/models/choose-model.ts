import type { ModelSource } from '../../worker/protocol';
import type { AppServices } from '../store/app-services';
import type { ModelState } from '../store/engine-state';
import type { ModelFolder } from './folder-files';
import { type ChosenModel, chosenName, rememberUrl } from './model-store';

const FOLDERS = { toy: 'models/toy/', recorded: 'samples/' };

/** Loads a model and remembers the choice. The open video is read again with it; question and settings stay. */
export function chooseModel(
  { client, models, backend }: AppServices,
  chosen: Exclude<ChosenModel, { kind: 'folder' }>,
): void {
  models.setState(chosen.kind === 'url' ? rememberUrl(models.getState(), chosen.url) : { chosen });
  client.loadModel({
    name: chosenName(chosen),
    source: sourceOf(chosen),
    ...(chosen.kind === 'url' ? { keep: true } : {}),
    ...(backend ? { backend } : {}),
    ...(chosen.kind === 'recorded' ? { recorded: true } : {}),
  });
}

function sourceOf(chosen: Exclude<ChosenModel, { kind: 'folder' }>): ModelSource {
  if (chosen.kind === 'kept') return { kind: 'kept', id: chosen.id };
  if (chosen.kind === 'url') return { kind: 'url', url: chosen.url };
  return { kind: 'url', url: new URL(FOLDERS[chosen.kind], document.baseURI).href };
}

/** Loads a model from files of the user's. */
export function chooseFolder({ client, models, backend }: AppServices, { name, files }: ModelFolder): void {
  const chosen: ChosenModel = { kind: 'folder', name };
  models.setState({ chosen, lastFolder: name });
  client.loadModel({ name, source: { kind: 'files', files }, keep: true, ...(backend ? { backend } : {}) });
}

/**
 * Loads what was chosen at the last visit. The files of a folder are out of reach by now: the toy model then. Where a
 * later choice cannot be loaded and the model before it stays, that one is the chosen one again.
 */
export function startModel(services: AppServices): void {
  const { client, models } = services;
  client.store.subscribe(({ model }, before) => {
    const back = before.previousModel !== undefined && model.id === before.previousModel.id;
    if (back && model.id !== before.model.id) models.setState({ chosen: chosenOf(model) });
  });
  const { chosen } = models.getState();
  chooseModel(services, chosen.kind === 'url' || chosen.kind === 'kept' ? chosen : { kind: 'toy' });
}

function chosenOf({ name, source, recorded }: ModelState): ChosenModel {
  if (recorded) return { kind: 'recorded' };
  if (source.kind === 'files') return { kind: 'folder', name };
  if (source.kind === 'kept') return { kind: 'kept', id: source.id, name };
  const isToy = source.url === new URL(FOLDERS.toy, document.baseURI).href;
  return isToy ? { kind: 'toy' } : { kind: 'url', url: source.url };
}
