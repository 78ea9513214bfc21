import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What a process's JavaScript side held while it was watched: bytes of heap and array buffers, over those of before. */
export interface HeldHeap {
  /** The most at a time, what was not collected yet included. */
  peak: number;
  /** The most of the moments at which garbage was collected first. */
  live: number;
  /** That of `mark`: what is there beside the weights. */
  other: number;
}

/** Watches what this process's JavaScript side holds. Call `stop` in the end. */
export class HeapWatch {
  private readonly held: HeldHeap = { peak: 0, live: 0, other: 0 };
  private readonly before: number;
  private readonly timer: NodeJS.Timeout;
  private readonly collect: () => void;

  constructor() {
    setFlagsFromString('--expose-gc');
    this.collect = runInNewContext('gc') as () => void;
    this.before = this.collected();
    this.timer = setInterval(() => this.see(heldNow()), 20);
  }

  /** Collects garbage, and takes what is left as what is there beside the weights. */
  mark(): void {
    this.held.other = this.collected() - this.before;
  }

  /** Collects garbage, and looks at what is left. */
  look(): void {
    this.see(heldNow());
    this.held.live = Math.max(this.held.live, this.collected() - this.before);
  }

  stop(): HeldHeap {
    clearInterval(this.timer);
    return this.held;
  }

  private see(bytes: number): void {
    this.held.peak = Math.max(this.held.peak, bytes - this.before);
  }

  private collected(): number {
    // The first collection frees what it finds in the background, the second one waits for that.
    this.collect();
    this.collect();
    return heldNow();
  }
}

function heldNow(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
