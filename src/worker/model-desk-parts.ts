/** What the model desk needs for all but the page's own models: fetched with the first of the others. */
export { KeptModels } from '../storage/kept-models';
export { webLocks } from '../storage/locks';
export { opfsFolder } from '../storage/opfs-folder';
export { keepWhileLoading, openKept } from './kept-model';
export { answerPlan } from './plan-request';
