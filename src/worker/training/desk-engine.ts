import type { EngineEvent } from '../protocol';
import type { Session } from '../session';
import type { TrainingEvent } from '../training-protocol';

/** The model that is loaded, by the name that the page gave it. */
export interface NamedSession extends Session {
  name: string;
}

/** What the engine does for the desk of runs. */
export interface DeskEngine {
  post: (event: EngineEvent | TrainingEvent) => void;
  /** The model, where one is loaded. */
  session: () => NamedSession | undefined;
  /** Runs a job that needs the GPU when those before it are done; what goes wrong is posted. Never rejects. */
  enqueue: (id: number, job: (session: NamedSession) => Promise<void>) => Promise<void>;
  /** Holds the kernels of training to their references. @throws GpuError where one is wrong and has no substitute. */
  testKernels: (session: NamedSession) => Promise<void>;
}
