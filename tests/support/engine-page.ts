import type { BenchEvent } from '../../src/worker/bench-protocol';
import { Engine } from '../../src/worker/engine';
import type { ModelEvent } from '../../src/worker/model-protocol';
import type { EngineEvent, EngineRequest } from '../../src/worker/protocol';
import type { TrainingEvent, TrainingRequest } from '../../src/worker/training-protocol';

export type Posted = EngineEvent | TrainingEvent | BenchEvent | ModelEvent;
export type Of<T extends Posted['type']> = Extract<Posted, { type: T }>;

/** The engine in this thread: everything that it posted, and those who wait for some of it. */
export class EnginePage {
  readonly events: Posted[] = [];
  onCall: (call: Of<'score-answers'>) => void = () => {};
  private waiting: (() => void)[] = [];
  readonly engine = new Engine((event) => {
    // What cannot be sent from a worker to its page fails here as it would there.
    structuredClone(event);
    if (event.type === 'frame') event.thumbnail.close();
    this.events.push(event);
    if (event.type === 'score-answers') queueMicrotask(() => this.onCall(event));
    for (const wake of this.waiting.splice(0)) wake();
  });

  /** The next event of a type from place `from` on for which `is` holds. An error of the engine fails. */
  async next<T extends Posted['type']>(
    type: T,
    from = 0,
    is: (event: Of<T>) => boolean = () => true,
  ): Promise<Of<T>> {
    for (;;) {
      const found = this.events.slice(from).find((event) => event.type === type && is(event as Of<T>));
      if (found) return found as Of<T>;
      const error = this.events.slice(from).find((event) => event.type === 'error');
      if (error) throw new Error(`In place of ${type}: ${JSON.stringify(error)}`);
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  /** Sends a request. @returns the place from which on events follow it. */
  send(request: EngineRequest | TrainingRequest): number {
    const from = this.events.length;
    this.engine.handle(request);
    return from;
  }

  /** Sends a request and gives the event that answers it. */
  ask<T extends Posted['type']>(type: T, request: EngineRequest | TrainingRequest): Promise<Of<T>> {
    return this.next(type, this.send(request));
  }
}
