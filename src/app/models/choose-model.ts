import type { AppServices } from '../store/app-services';
import type { ModelFolder } from './folder-files';
import { type ChosenModel, chosenName, rememberUrl } from './model-store';

/** Loads a model and remembers the choice. The open video is read again with it; question and settings stay. */
export function chooseModel(
  { client, models, backend }: AppServices,
  chosen: Exclude<ChosenModel, { kind: 'folder' }>,
): void {
  models.setState(chosen.kind === 'url' ? rememberUrl(models.getState(), chosen.url) : { chosen });
  const folder = { toy: 'models/toy/', recorded: 'samples/' };
  const url = chosen.kind === 'url' ? chosen.url : new URL(folder[chosen.kind], document.baseURI).href;
  client.loadModel({
    name: chosenName(chosen),
    source: { kind: 'url', url },
    ...(backend ? { backend } : {}),
    ...(chosen.kind === 'recorded' ? { recorded: true } : {}),
  });
}

/** Loads a model from files of the user's. */
export function chooseFolder({ client, models, backend }: AppServices, { name, files }: ModelFolder): void {
  models.setState({ chosen: { kind: 'folder', name }, lastFolder: name });
  client.loadModel({ name, source: { kind: 'files', files }, ...(backend ? { backend } : {}) });
}

/** Loads what was chosen at the last visit. The files of a folder are out of reach by now: the toy model then. */
export function startModel(services: AppServices): void {
  const { chosen } = services.models.getState();
  chooseModel(services, chosen.kind === 'url' ? chosen : { kind: 'toy' });
}
