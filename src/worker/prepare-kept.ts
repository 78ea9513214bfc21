import { KeptModels } from '../storage/kept-models';
import { filesSource, sourceAddress } from '../storage/kept-source';
import { webLocks } from '../storage/locks';
import { opfsFolder } from '../storage/opfs-folder';
import { CheckpointError } from '../weights/errors';
import { keepWhileLoading, openKept } from './kept-model';
import { type LoadRequest, type LoadRequests, type PreparedLoad, storeOf } from './model-desk';
import type { ModelEvent } from './model-protocol';

/** The models on disk. @throws StorageError `unavailable` where the browser keeps nothing. */
export async function keptModels(): Promise<KeptModels> {
  return new KeptModels(await opfsFolder(), webLocks);
}

/**
 * Begins a load from disk, or one that is kept on disk.
 * @param post what tells that a model is not kept, as soon as that is known.
 * @throws StorageError and CheckpointError where a kept model cannot be loaded.
 */
export async function prepareKept(
  request: LoadRequest,
  requests: LoadRequests,
  post: (event: ModelEvent) => void,
): Promise<PreparedLoad> {
  const { id, source, name, precision: wanted } = request;
  const { signal } = requests;
  if (source.kind === 'kept') {
    const kept = await openKept(await keptModels(), source.id);
    const { checkpoint, openCache, precision = wanted } = kept;
    const stored = precision ? { precision } : {};
    const url = sourceAddress(kept.source);
    const anew = () =>
      prepareKept({ ...request, ...stored, source: { kind: 'url', url: url! }, keep: true }, requests, post);
    if (!checkpoint && url) return anew();
    if (!checkpoint)
      throw new CheckpointError(
        `What was kept of ${kept.name} is damaged. Choose its folder or its files again: what is not right is read again.`,
      );
    const options = { openCache, signal, ...stored };
    const leaves = () => 'Its files stay in this browser.';
    return { source: checkpoint, options, leaves, ...(url ? { anew } : {}) };
  }
  const asked = wanted ? { precision: wanted } : {};
  const store = storeOf(source, requests);
  const models = await keptModels().catch(() => undefined);
  if (!models) {
    const message = 'This browser keeps no files for this page, so the model is loaded anew at each visit.';
    post({ type: 'not-kept', id, message });
    return { source: store, options: { signal, ...asked }, leaves: () => message };
  }
  const from = source.kind === 'url' ? source.url : filesSource(name);
  const onProblem = (message: string) => post({ type: 'not-kept', id, message });
  const kept = keepWhileLoading(models, store, { source: from, name, onProblem });
  return {
    source: kept.store,
    options: { openCache: kept.openCache, signal, ...asked },
    discard: kept.discard,
    leaves: () => kept.problem() ?? 'What was loaded is kept: loading goes on from there.',
  };
}
