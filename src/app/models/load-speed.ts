/** How many bytes of a load were there at a time (milliseconds). */
export interface LoadSample {
  time: number;
  done: number;
  total: number;
}

/** Milliseconds that a speed is the mean of, and the least that it can be told from. */
const WINDOW = 8000;
const LEAST = 500;

/** The samples with a new one: those of the window alone. Where the count begins again, so do the samples. */
export function addSample(samples: readonly LoadSample[], { time, done, total }: LoadSample): LoadSample[] {
  const last = samples.at(-1);
  const again = last !== undefined && (done < last.done || total !== last.total);
  const before = again ? [] : samples.filter((sample) => time - sample.time <= WINDOW);
  return [...before, { time, done, total }];
}

/** Bytes a second over the window; undefined while it is too short to say. */
export function loadSpeed(samples: readonly LoadSample[]): number | undefined {
  const first = samples[0];
  const last = samples.at(-1);
  if (!first || !last || last.time - first.time < LEAST) return undefined;
  return ((last.done - first.done) / (last.time - first.time)) * 1000;
}

/** The first sample of a stretch that a new one belongs to; what is not downloaded begins none. */
export function beganAt(
  began: LoadSample | undefined,
  { time, done, total, kept }: LoadSample & { kept: boolean },
): LoadSample | undefined {
  if (kept) return undefined;
  return began && began.total === total && began.done <= done ? began : { time, done, total };
}

/** Bytes a second from the first sample of a download to its last; undefined where they say too little. */
export function meanSpeed(began: LoadSample | undefined, last: LoadSample | undefined): number | undefined {
  if (!began || !last || last.time - began.time < LEAST || last.done <= began.done) return undefined;
  return ((last.done - began.done) / (last.time - began.time)) * 1000;
}

/** Seconds that are left at the speed of the window; undefined while it is not known, or nothing comes. */
export function secondsLeft(samples: readonly LoadSample[]): number | undefined {
  const speed = loadSpeed(samples);
  const last = samples.at(-1);
  return speed && last ? (last.total - last.done) / speed : undefined;
}

/** A stretch of time as people say it: "less than 5 s", "about 40 s", "about 3 min", "about 1 h 20 min". */
export function aboutTime(seconds: number): string {
  if (seconds < 5) return 'less than 5 s';
  if (seconds < 55) return `about ${Math.ceil(seconds / 5) * 5} s`;
  const minutes = Math.max(1, Math.round(seconds / 60));
  if (minutes < 60) return `about ${minutes} min`;
  const rest = minutes % 60;
  return `about ${Math.floor(minutes / 60)} h${rest ? ` ${rest} min` : ''}`;
}
