import type { EvalLine, RunEvent, RunState, StepLine } from '../../worker/training-protocol';

/** The chip of a run's state: its words and its tone. */
export const STATE_CHIP: Record<RunState, { text: string; tone: string }> = {
  compiling: { text: 'compiling', tone: 'warn' },
  running: { text: 'training', tone: 'ok' },
  paused: { text: 'paused', tone: 'n' },
  stopped: { text: 'stopped', tone: 'n' },
  done: { text: 'done', tone: 'ok' },
  failed: { text: 'failed', tone: 'err' },
};

/** A share as "66%". */
export function percent(share: number): string {
  return `${Math.round(100 * share)}%`;
}

/** What a run's figures are the mean of; the engine's summaries too. */
export const LAST_STEPS = 10;

/** Mean of the values of the last ten steps, gaps left out; undefined where there is none. */
export function lastMean(values: readonly (number | null | undefined)[]): number | undefined {
  const last = values.slice(-LAST_STEPS).filter((value) => value != null && Number.isFinite(value));
  return last.length === 0 ? undefined : last.reduce<number>((sum, value) => sum + value!, 0) / last.length;
}

/** Mean seconds of the last steps; undefined before the first one. */
export function secondsPerStep(lines: readonly StepLine[]): number | undefined {
  return lastMean(lines.map(({ step_time }) => step_time));
}

/** "1.9 s per step, about 7 min left"; '' before the first step. */
export function paceText(lines: readonly StepLine[], step: number, max_steps: number): string {
  const seconds = secondsPerStep(lines);
  if (seconds === undefined) return '';
  const each = `${seconds < 10 ? seconds.toFixed(1) : seconds.toFixed(0)} s per step`;
  const left = (max_steps - step) * seconds;
  return left <= 0 ? each : `${each}, about ${roughTime(left)} left`;
}

/** A time as one says it: "40 s", "7 min", "2 h 10 min". */
export function roughTime(seconds: number): string {
  if (seconds < 50) return `${Math.max(10, Math.round(seconds / 10) * 10)} s`;
  const minutes = Math.max(1, Math.round(seconds / 60));
  if (minutes < 90) return `${minutes} min`;
  const rest = Math.round((minutes % 60) / 10) * 10;
  const hours = Math.floor(minutes / 60) + (rest === 60 ? 1 : 0);
  return rest % 60 === 0 ? `${hours} h` : `${hours} h ${rest} min`;
}

/** A 95 % interval around a share of `count` (Agresti and Coull, 1998); it always holds the share itself. */
export function interval95(share: number, count: number): { low: number; high: number } {
  const z = 1.96;
  const total = count + z ** 2;
  const centre = (share * count + z ** 2 / 2) / total;
  const half = z * Math.sqrt((centre * (1 - centre)) / total);
  return {
    low: Math.max(0, Math.min(share, centre - half)),
    high: Math.min(1, Math.max(share, centre + half)),
  };
}

/** The checks of a run by when they were made. */
export function evalsByTime(evals: readonly EvalLine[], done: boolean) {
  const before = evals.find(({ step }) => step === 0);
  const last = evals.at(-1);
  const after = done && last && last.step > 0 ? last : undefined;
  const during = evals.findLast((line) => line.step > 0 && line !== after);
  return { before, during, after };
}

/** Step of the next check; undefined where none comes before the end. */
export function nextEval(step: number, eval_steps: number, max_steps: number): number | undefined {
  if (eval_steps <= 0) return undefined;
  const next = (Math.floor(step / eval_steps) + 1) * eval_steps;
  return next < max_steps ? next : undefined;
}

/** Newest first. */
export function newestEvents(events: readonly RunEvent[]): RunEvent[] {
  return [...events].reverse();
}
