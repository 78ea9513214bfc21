import type { Gpu } from '../gpu/device';
import type { LoadModelOptions } from '../model/tiny-llava';
import type { Checkpoint } from '../weights/checkpoint';
import { type FileStore, fileStore, storeAt } from '../weights/file-store';
import { PATIENT_RETRY, type RequestOptions } from '../weights/retry';
import type { ModelEvent, ModelRequest } from './model-protocol';
import type { EngineRequest, ModelSource } from './protocol';

export type LoadRequest = Extract<EngineRequest, { type: 'load-model' }>;

/** What is asked of the desk. */
export type DeskRequest = Exclude<ModelRequest, { type: 'cancel-load' }>;

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

/** How the files of a load are asked for: `signal` ends it, `onWait` hears of a server that limits requests. */
export type LoadRequests = Required<Pick<RequestOptions, 'signal' | 'onWait'>>;

/** What a load takes. */
export interface PreparedLoad {
  source: FileStore | Checkpoint;
  options: Pick<LoadModelOptions, 'openCache' | 'signal' | 'precision'>;
  /** What stays of it where it is stopped now, as a sentence. */
  leaves(): string;
  /** Deletes what was kept of it, once it has ended. @returns what stays then, as a sentence. */
  discard?: (() => Promise<string>) | undefined;
  /** Where what was kept is damaged: the load from where it came from, which fetches what is not right. */
  anew?(): Promise<PreparedLoad>;
}

/** Where models come from, which of them are on disk, and what they would take. */
export class ModelDesk {
  constructor(private readonly engine: ModelDeskEngine) {}

  /** Takes a request; what it leads to is posted as events. */
  handle(request: DeskRequest): void {
    this.engine.beside(request.id, async () => (await parts()).answerDesk(request, this.engine));
  }

  /**
   * Begins a load.
   * @throws StorageError and CheckpointError where a kept model cannot be loaded.
   */
  async prepare(request: LoadRequest, requests: LoadRequests): Promise<PreparedLoad> {
    const { source, keep, precision } = request;
    if (keep || source.kind === 'kept')
      return (await parts()).prepareKept(request, requests, this.engine.post);
    const options = { signal: requests.signal, ...(precision ? { precision } : {}) };
    const leaves = () => 'It is not kept in this browser: loading begins anew.';
    return { source: storeOf(source, requests), options, leaves };
  }
}

/** The files of a source that is not kept; those of a load outlast a server that limits requests. */
export function storeOf(source: ModelSource, requests?: LoadRequests): FileStore {
  if (source.kind === 'kept') throw new Error('A kept model has no files to read.');
  const options = requests ? { ...requests, retry: PATIENT_RETRY } : {};
  return source.kind === 'url' ? storeAt(source.url, options) : fileStore(source.files);
}

// All but the page's own models: fetched with the first of the others.
const parts = () => import('./model-desk-parts');
