import type { EngineEvent } from '../../worker/protocol';

/** The engine's events, given on at most once per animation frame. */
export class EventBatch {
  private events: EngineEvent[] = [];
  private handle: (() => void) | undefined;

  constructor(private readonly onBatch: (events: readonly EngineEvent[]) => void) {}

  /** Takes an event. */
  add(event: EngineEvent): void {
    this.events.push(event);
    if (this.handle) return;
    const flush = () => this.flush();
    // A hidden tab has no animation frames, and the answer must go on there.
    if (document.visibilityState === 'hidden') {
      const handle = setTimeout(flush, 100);
      this.handle = () => clearTimeout(handle);
    } else {
      const handle = requestAnimationFrame(flush);
      const late = setTimeout(flush, 500);
      this.handle = () => {
        cancelAnimationFrame(handle);
        clearTimeout(late);
      };
    }
  }

  /** Gives on what is there; nothing where there is nothing. */
  flush(): void {
    this.handle?.();
    this.handle = undefined;
    const { events } = this;
    this.events = [];
    if (events.length > 0) this.onBatch(events);
  }

  /** Forgets what is there. */
  drop(): void {
    for (const event of this.events) if (event.type === 'frame') event.thumbnail.close();
    this.events = [];
  }
}
