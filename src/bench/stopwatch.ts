import type { Gpu } from '../gpu/device';
import { PassTimer } from './pass-timer';

/** How a kernel is timed. */
export interface TimingOptions {
  /** Milliseconds that one submit of runs should take at least: short runs are repeated in it. */
  targetMs?: number;
  /** Submits, of which the median counts. */
  repeats?: number;
  /** Runs a submit at most. */
  maxRuns?: number;
  /** False: the runs submit for themselves, in an order of their own (ONNX Runtime). */
  gather?: boolean;
}

/** Milliseconds of one run, and where they come from. */
export interface Timing {
  ms: number;
  /** Runs a submit. */
  runs: number;
  /** `gpu`: timestamps around the passes. `wall`: the CPU's clock from submit to completion. */
  clock: 'gpu' | 'wall';
}

const SLOW_MS = 1000;

/** One run's work, issued and submitted. */
export type Job = () => void | Promise<void>;

/** Times work on a device. One at a time. */
export class Stopwatch {
  private readonly timer: PassTimer | undefined;

  constructor(private readonly gpu: Gpu) {
    this.timer = PassTimer.create(gpu);
  }

  /**
   * The median time of one run of `job`. The first run is not counted: it compiles. N runs are put into one submit, so
   * that what a call costs on the CPU is not in the figure.
   */
  async time(job: Job, options: TimingOptions = {}): Promise<Timing> {
    const { runs, repeats } = await this.prepare(job, options);
    const batches = [];
    for (let i = 0; i < repeats; i++) batches.push(await this.batch(job, runs, options.gather));
    const clock = batches.every((batch) => batch.clock === 'gpu') ? 'gpu' : 'wall';
    return { ms: median(batches.map((batch) => batch.ms)) / runs, runs, clock };
  }

  /**
   * Time of `other` by the time of `own`: the median of batches taken in turns, so that a machine that gets faster or
   * slower meanwhile does so for both.
   */
  async ratio(
    own: Job,
    other: Job,
    options: TimingOptions & { otherGather?: boolean } = {},
  ): Promise<number> {
    const { gather, otherGather = gather } = options;
    const first = await this.prepare(own, options);
    const second = await this.prepare(other, {
      ...options,
      ...(otherGather === undefined ? {} : { gather: otherGather }),
    });
    const ratios = [];
    for (let i = 0; i < Math.min(first.repeats, second.repeats); i++) {
      const a = await this.batch(own, first.runs, gather);
      const b = await this.batch(other, second.runs, otherGather);
      ratios.push(b.ms / second.runs / (a.ms / first.runs));
    }
    return median(ratios);
  }

  /** Runs a job twice: to compile, and to see how long it takes. */
  private async prepare(job: Job, options: TimingOptions): Promise<{ runs: number; repeats: number }> {
    const { targetMs = 40, repeats = 5, maxRuns = 64, gather } = options;
    await job();
    const first = await this.batch(job, 1, gather);
    const runs = Math.max(1, Math.min(maxRuns, Math.ceil(targetMs / Math.max(first.ms, 1e-3))));
    // What takes seconds is not taken five times.
    return { runs, repeats: first.ms > SLOW_MS ? Math.min(2, repeats) : repeats };
  }

  /** Frees the timer. */
  destroy(): void {
    this.timer?.destroy();
  }

  private async batch(
    job: Job,
    runs: number,
    gather = true,
  ): Promise<{ ms: number; clock: Timing['clock'] }> {
    const { queue } = this.gpu.device;
    const issue = async () => {
      for (let i = 0; i < runs; i++) await job();
    };
    await queue.onSubmittedWorkDone();
    this.timer?.start();
    const begin = performance.now();
    await (gather ? inOneSubmit(queue, issue) : issue());
    await queue.onSubmittedWorkDone();
    const wall = performance.now() - begin;
    const gpuMs = await this.timer?.stop();
    return gpuMs === undefined ? { ms: wall, clock: 'wall' } : { ms: gpuMs, clock: 'gpu' };
  }
}

/** Holds back what is submitted while `issue` runs, and submits it at once. */
async function inOneSubmit(queue: GPUQueue, issue: () => Promise<void>): Promise<void> {
  const submit = queue.submit.bind(queue);
  const held: GPUCommandBuffer[] = [];
  queue.submit = (buffers) => {
    held.push(...buffers);
  };
  try {
    await issue();
  } finally {
    queue.submit = submit;
  }
  submit(held);
}

/** The middle one; the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}
