import type { Gpu } from '../gpu/device';
import type { LoadModelOptions } from '../model/tiny-llava';
import type { KeptModels } from '../storage/kept-models';
import type { Checkpoint } from '../weights/checkpoint';
import { CheckpointError } from '../weights/errors';
import { type FileStore, fileStore, storeAt } from '../weights/file-store';
import type { ModelEvent, ModelPlan, ModelRequest, StorageRoom } from './model-protocol';
import type { EngineRequest, ModelSource } from './protocol';

type LoadRequest = Extract<EngineRequest, { type: 'load-model' }>;

/** What the engine does for the desk. */
export interface ModelDeskEngine {
  post: (event: ModelEvent) => void;
  /** The GPU of the model that is loaded. */
  gpu: () => Gpu | undefined;
  /** Runs a job beside whatever goes on; what goes wrong is posted under the request's id. */
  beside: (id: number, job: () => Promise<void>) => void;
  /** Runs a job with the GPU for itself, once what is in the queue is done; what goes wrong is posted likewise. */
  alone: (id: number, job: (gpu: Gpu | undefined) => Promise<void>) => void;
}

/** What a load takes, and what it leaves to say. */
export interface PreparedLoad {
  source: FileStore | Checkpoint;
  options: Pick<LoadModelOptions, 'openCache' | 'signal' | 'precision'>;
  /** After the load: tells of what could not be kept. */
  finished(): void;
  /** Where what was kept is damaged: the load from where it came from, which fetches what is not right. */
  anew?(): Promise<PreparedLoad>;
}

/** Where models come from, which of them are on disk, and what they would take. */
export class ModelDesk {
  constructor(private readonly engine: ModelDeskEngine) {}

  /** Takes a request; what it leads to is posted as events. */
  handle(request: Exclude<ModelRequest, { type: 'cancel-load' }>): void {
    const { post, beside } = this.engine;
    switch (request.type) {
      case 'list-models':
        beside(request.id, () => this.list(request.id));
        return;
      case 'delete-model':
        beside(request.id, async () => {
          await (await keptModels()).delete(request.model);
          await this.list(request.id);
        });
        return;
      case 'plan-model':
        beside(request.id, async () => {
          const { answerPlan } = await parts();
          const tell = async (plan: ModelPlan) =>
            post({ type: 'model-plan', id: request.id, plan, ...(await storageRoom()) });
          await answerPlan(request, storeOf(request.source), { ...this.engine, tell });
        });
    }
  }

  /**
   * Begins a load.
   * @param signal ends it while its weights come.
   * @throws StorageError and CheckpointError where a kept model cannot be loaded.
   */
  async prepare(request: LoadRequest, signal: AbortSignal): Promise<PreparedLoad> {
    const { source, keep, name, precision: wanted } = request;
    if (source.kind === 'kept') {
      const { openKept } = await parts();
      const kept = await openKept(await keptModels(), source.id);
      const { checkpoint, openCache, precision = wanted } = kept;
      const stored = precision ? { precision } : {};
      const url = /^https?:/.test(kept.source) ? kept.source : undefined;
      const anew = () =>
        this.prepare({ ...request, ...stored, source: { kind: 'url', url: url! }, keep: true }, signal);
      if (!checkpoint && url) return anew();
      if (!checkpoint)
        throw new CheckpointError(
          `What was kept of ${kept.name} is damaged. Open its folder again: what is not right is read again.`,
        );
      return {
        source: checkpoint,
        options: { openCache, signal, ...stored },
        finished: () => {},
        ...(url ? { anew } : {}),
      };
    }
    const asked = wanted ? { precision: wanted } : {};
    const store = storeOf(source, signal);
    if (!keep) return { source: store, options: { signal, ...asked }, finished: () => {} };
    const models = await keptModels().catch(() => undefined);
    if (!models) {
      const message = 'This browser keeps no files for this page, so the model is loaded anew at each visit.';
      const finished = () => this.engine.post({ type: 'not-kept', id: request.id, message });
      return { source: store, options: { signal, ...asked }, finished };
    }
    const from = source.kind === 'url' ? source.url : `folder ${store.name}`;
    const { keepWhileLoading } = await parts();
    const kept = keepWhileLoading(models, store, { source: from, name });
    return {
      source: kept.store,
      options: { openCache: kept.openCache, signal, ...asked },
      finished: () => {
        const message = kept.problem();
        if (message) this.engine.post({ type: 'not-kept', id: request.id, message });
      },
    };
  }

  private async list(id: number): Promise<void> {
    const models = await (await keptModels()).list();
    this.engine.post({ type: 'kept-models', id, models, ...(await storageRoom()) });
  }
}

function storeOf(source: ModelSource, signal?: AbortSignal): FileStore {
  const options = signal ? { signal } : {};
  if (source.kind === 'kept') throw new Error('A kept model has no files to read.');
  return source.kind === 'url' ? storeAt(source.url, options) : fileStore(source.files);
}

const parts = () => import('./model-desk-parts');

async function keptModels(): Promise<KeptModels> {
  const { KeptModels, opfsFolder, webLocks } = await parts();
  return new KeptModels(await opfsFolder(), webLocks);
}

async function storageRoom(): Promise<{ room?: StorageRoom }> {
  try {
    const { usage, quota } = await navigator.storage.estimate();
    if (usage === undefined || quota === undefined) return {};
    return { room: { usage, quota, persisted: await navigator.storage.persisted() } };
  } catch {
    return {};
  }
}
