import type { AdapterShelf } from '../adapter-shelf';
import { engineError } from '../engine-error';
import type { TrainingRequest } from '../training-protocol';
import type { DeskEngine } from './desk-engine';
import type { TrainingDesk } from './training-desk';

/** The way to the training desk, whose code is fetched with the first request about training. */
export class TrainingDoor {
  private desk: TrainingDesk | undefined;
  private opening: Promise<TrainingDesk> | undefined;

  constructor(
    private readonly engine: DeskEngine,
    private readonly shelf: AdapterShelf,
  ) {}

  /** Takes a request; requests are handled in the order in which they came. */
  handle(request: TrainingRequest): void {
    if (this.desk) {
      this.desk.handle(request);
      return;
    }
    this.opening ??= this.open();
    this.opening.then(
      (desk) => desk.handle(request),
      (cause: unknown) => {
        // Asked for again at the next request: the connection may be back.
        this.opening = undefined;
        const id = 'id' in request ? request.id : 0;
        this.engine.post({ type: 'error', id, error: engineError('train', cause) });
      },
    );
  }

  /** See `TrainingDesk.pause`. */
  pause(): void {
    this.desk?.pause();
  }

  /** See `TrainingDesk.lost`. */
  lost(comesBack: boolean): void {
    this.desk?.lost(comesBack);
  }

  private async open(): Promise<TrainingDesk> {
    const { TrainingDesk } = await import('./training-desk');
    this.desk = new TrainingDesk(this.engine, this.shelf);
    return this.desk;
  }
}
