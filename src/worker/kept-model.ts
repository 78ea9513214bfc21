import { type ModelPrecision, parsePrecisionLine } from '../model/precision';
import type { ModelCache } from '../model/tiny-llava';
import { StorageError } from '../storage/errors';
import type { KeptModels, OpenModel } from '../storage/kept-models';
import type { Checkpoint } from '../weights/checkpoint';
import { BadWeightsError, CheckpointError } from '../weights/errors';
import { copyingStore, type FileStore, memoryStore } from '../weights/file-store';

/** Small files of a checkpoint that a model is made of, beside its weights. */
const CONFIG = 'config.json';

/** How a model that is kept is opened: what `TinyLlava.load` takes, and what to say at the end. */
export interface KeptLoading {
  store: FileStore;
  openCache(model: { revision: string; precision: string }): Promise<ModelCache | undefined>;
  /** Why the model was not kept, or not wholly. */
  problem(): string | undefined;
  /** Deletes what is kept of the model, whose cache is closed. @returns what came of it, as a sentence. */
  discard(): Promise<string>;
}

/**
 * Loads from a source and keeps what is loaded; what was kept before is not loaded again.
 * @param options.source what the user chose, as a line of text.
 * @param options.onProblem told at once why the model is not kept, or not wholly.
 */
export function keepWhileLoading(
  models: KeptModels,
  store: FileStore,
  {
    source,
    name,
    onProblem = () => {},
  }: { source: string; name: string; onProblem?: (message: string) => void },
): KeptLoading {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  let problem: string | undefined;
  let id: string | undefined;
  const fail = (cause: unknown) => {
    problem = sentence(cause);
    onProblem(problem);
  };
  return {
    store: copyingStore(store, async (file, bytes) => void files.set(file, bytes)),
    problem: () => problem,
    async discard() {
      const nothing = 'Nothing of it is kept in this browser.';
      if (id === undefined) return problem ?? nothing;
      try {
        await models.delete(id);
        return nothing;
      } catch (cause) {
        return `What was kept of it could not be deleted: ${cause instanceof Error ? cause.message : String(cause)}`;
      }
    },
    async openCache({ revision, precision }) {
      let model: OpenModel | undefined;
      try {
        model = await models.open({ source, revision, precision }, name, Date.now());
        ({ id } = model);
        await model.addFiles(files);
        // On disk now: they need not stay in memory while the weights come.
        files.clear();
        return cacheOf(model, fail);
      } catch (cause) {
        // A model that cannot be kept is loaded all the same.
        fail(cause);
        // Nothing is left behind that has no weights.
        if (model?.tensors.size === 0) await model.discard().catch(() => undefined);
        model?.close();
        return undefined;
      }
    },
  };
}

/** A kept model, and what is known of where it came from. */
export interface KeptOpening {
  name: string;
  /** What the user chose, as a line of text. */
  source: string;
  /** How its parts are stored. */
  precision: ModelPrecision | undefined;
  /** It as a checkpoint without weight files: undefined where its small files are damaged. */
  checkpoint: Checkpoint | undefined;
  openCache: KeptLoading['openCache'];
}

/**
 * Opens a kept model, to be loaded from disk alone.
 * @throws StorageError `missing` where there is none of that id, or not all of it; `in-use`.
 */
export async function openKept(models: KeptModels, id: string): Promise<KeptOpening> {
  const model = await models.openById(id, Date.now());
  const { name, complete, source } = model.manifest;
  const precision = parsePrecisionLine(model.manifest.precision);
  // Opened again when its tensors are wanted: a load that ends before leaves nothing open.
  const openCache = async () => cacheOf(await models.openById(id, Date.now()), () => {});
  const known = { name, source, precision, openCache };
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
    return { ...known, checkpoint };
  } catch (cause) {
    if (cause instanceof StorageError && cause.code === 'damaged') return { ...known, checkpoint: undefined };
    throw cause;
  } finally {
    model.close();
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
    async close(whole, cause) {
      try {
        if (whole && !failed) await model.complete();
        // What no second try can go on with is not left behind.
        else if (model.tensors.size === 0 || cause instanceof BadWeightsError) await model.discard();
      } catch (cause) {
        fail(cause);
      } finally {
        model.close();
      }
    },
  };
}

function sentence(cause: unknown): string {
  if (cause instanceof StorageError && cause.code === 'full')
    return (
      'Storage is full, so the model was not kept to its end: what lacks is loaded anew at the next visit. ' +
      'Delete models or runs that are no longer needed, then load it again.'
    );
  return `The model was not kept for the next visit: ${cause instanceof Error ? cause.message : String(cause)}`;
}
