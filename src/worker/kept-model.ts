import type { ModelCache } from '../model/tiny-llava';
import { StorageError } from '../storage/errors';
import type { KeptModels, OpenModel } from '../storage/kept-models';
import type { Checkpoint } from '../weights/checkpoint';
import { CheckpointError } from '../weights/errors';
import { copyingStore, type FileStore, memoryStore } from '../weights/file-store';

/** Small files of a checkpoint that a model is made of, beside its weights. */
const CONFIG = 'config.json';

/** How a model that is kept is opened: what `TinyLlava.load` takes, and what to say at the end. */
export interface KeptLoading {
  store: FileStore;
  openCache(model: { revision: string; precision: string }): Promise<ModelCache | undefined>;
  /** Why the model was not kept, or not wholly. */
  problem(): string | undefined;
}

/**
 * Loads from a source and keeps what is loaded; what was kept before is not loaded again.
 * @param source what the user chose, as a line of text.
 */
export function keepWhileLoading(
  models: KeptModels,
  store: FileStore,
  { source, name }: { source: string; name: string },
): KeptLoading {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  let failure: unknown;
  return {
    store: copyingStore(store, async (file, bytes) => void files.set(file, bytes)),
    problem: () => (failure === undefined ? undefined : sentence(failure)),
    async openCache({ revision, precision }) {
      let model: OpenModel | undefined;
      try {
        model = await models.open({ source, revision, precision }, name, Date.now());
        for (const [file, bytes] of files) await model.addFile(file, bytes);
        return cacheOf(model, (cause) => {
          failure = cause;
        });
      } catch (cause) {
        // A model that cannot be kept is loaded all the same.
        failure = cause;
        model?.close();
        return undefined;
      }
    },
  };
}

/**
 * Loads a kept model from disk alone.
 * @throws StorageError `missing` where there is none of that id, or not all of it; `in-use`.
 */
export async function openKept(
  models: KeptModels,
  id: string,
): Promise<{ name: string; checkpoint: Checkpoint; openCache: KeptLoading['openCache'] }> {
  const model = await models.openById(id, Date.now());
  const { name, complete } = model.manifest;
  try {
    if (!complete)
      throw new StorageError(
        'missing',
        `${name} was not loaded to its end. Load it from where it came from: it goes on where it stopped.`,
      );
    const store = memoryStore(await model.files(), name);
    const config = await store.text(CONFIG);
    if (config === undefined)
      throw new CheckpointError(`${name} was kept without its ${CONFIG}. Load it again.`);
    const checkpoint = { name, store, config: JSON.parse(config), tensors: new Map(), files: [], bytes: 0 };
    return { name, checkpoint, openCache: async () => cacheOf(model, () => {}) };
  } catch (cause) {
    model.close();
    throw cause;
  }
}

function cacheOf(model: OpenModel, onFailure: (cause: unknown) => void): ModelCache {
  let failed = false;
  const fail = (cause: unknown) => {
    failed = true;
    onFailure(cause);
  };
  return {
    tensors: model.tensors,
    read: (name) => model.read(name),
    add: (tensor, parts) => model.add(tensor, parts),
    failed: fail,
    async close(whole) {
      try {
        if (whole && !failed) await model.complete();
      } catch (cause) {
        fail(cause);
      } finally {
        model.close();
      }
    },
  };
}

function sentence(cause: unknown): string {
  const why = cause instanceof Error ? cause.message : String(cause);
  return cause instanceof StorageError && cause.code === 'full'
    ? `Storage is full, so the model was not kept to its end: it is loaded anew at the next visit. ${why}`
    : `The model was not kept for the next visit: ${why}`;
}
