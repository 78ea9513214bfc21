import type { BenchEvent, BenchRequest } from '../worker/bench-protocol';
import type { ModelEvent, ModelRequest } from '../worker/model-protocol';
import type { EngineEvent, EngineRequest } from '../worker/protocol';
import type { TrainingEvent, TrainingRequest } from '../worker/training-protocol';

/** The part of `Worker` that the page uses. */
export type EngineWorker = Pick<Worker, 'postMessage' | 'terminate' | 'onmessage' | 'onerror'>;

/** Starts the engine's thread, or the player of recorded answers. */
export type CreateWorker = (recorded: boolean) => EngineWorker;

/** Everything that the page asks of the engine. */
export type AnyRequest = EngineRequest | TrainingRequest | BenchRequest | ModelRequest;

/** Everything that the engine says. */
export type AnyEvent = EngineEvent | TrainingEvent | BenchEvent | ModelEvent;

/** Starts the engine's thread with the first request, and beside the player of recorded answers one that only reads. */
export class EngineThreads {
  private worker: EngineWorker | undefined;
  /** The engine's thread while recorded answers are played: it loads nothing, and knows what is kept. */
  private reader: EngineWorker | undefined;

  constructor(
    private readonly createWorker: CreateWorker,
    private readonly onEvent: (event: AnyEvent) => void,
    private readonly onCrash: (detail: string) => void,
  ) {}

  /** Whether a thread runs that models are loaded in, or recorded answers played by. */
  get running(): boolean {
    return this.worker !== undefined;
  }

  /** Sends a request. @param recorded the player of recorded answers takes it. */
  send(request: AnyRequest, recorded: boolean): void {
    if (!this.worker) {
      this.worker = (recorded ? undefined : this.reader) ?? this.start(recorded);
      if (!recorded) this.reader = undefined;
    }
    this.worker.postMessage(request);
  }

  /** Sends what needs no model; the player of recorded answers knows nothing of it. */
  sendDesk(request: ModelRequest, recorded: boolean): void {
    if (!recorded) this.send(request, recorded);
    else {
      this.reader ??= this.start(false);
      this.reader.postMessage(request);
    }
  }

  /** Ends the thread. */
  drop(): void {
    if (this.worker) this.worker.onmessage = null;
    this.worker?.terminate();
    this.worker = undefined;
  }

  private start(recorded: boolean): EngineWorker {
    const worker = this.createWorker(recorded);
    worker.onmessage = ({ data }: MessageEvent<AnyEvent>) => this.onEvent(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.onCrash(event.message);
    };
    return worker;
  }
}
