/** A second loss within this time ends the recoveries: whatever takes the GPU away would only do it again. */
const WINDOW_MS = 60_000;

/** Decides whether a lost GPU is opened once more. */
export class LossLimit {
  private last = Number.NEGATIVE_INFINITY;

  /** Notes a loss at `now` (milliseconds, any origin) and says whether to recover from it. */
  recovers(now: number): boolean {
    const first = now - this.last >= WINDOW_MS;
    this.last = now;
    return first;
  }
}
