import type { ChartMarks } from './chart-drawing';
import { type ChartSpec, curveValues, type Scale, smooth, steadyScale } from './chart-model';
import { lastMean } from './run-facts';
import type { RunRecord } from './training-state';

/** Another run behind the one that is shown. */
export interface ComparedChart {
  name: string;
  spec: ChartSpec;
  lines: RunRecord['lines'];
}

/** What uPlot draws for a chart: columns over `steps`, in drawing order. */
export interface ChartData {
  steps: number[];
  columns: {
    kind: 'ghost' | 'high' | 'low' | 'raw' | 'line' | 'bars';
    curve: number;
    values: (number | null)[];
  }[];
  scale: Scale;
  /** The number over the first curve: the mean of the last ten steps, or the last step's where the chart is exact. */
  figure: number | undefined;
  lastStep: number;
  marks: ChartMarks;
}

/** Columns, scale and marks of a chart. @param before the scale that it had, which it keeps where it can. */
export function chartData(
  spec: ChartSpec,
  record: Pick<RunRecord, 'lines' | 'events' | 'run'>,
  compared: readonly ComparedChart[],
  smooths: number,
  before?: Scale,
): ChartData {
  const { lines, events, run } = record;
  const smoothing = spec.exact ? 0 : smooths;
  const lastStep = Math.max(
    run.max_steps,
    ...[record, ...compared].map((one) => one.lines.at(-1)?.step ?? 0),
    1,
  );
  const steps = [
    ...new Set([lines, ...compared.map((one) => one.lines)].flatMap((all) => all.map(({ step }) => step))),
  ];
  steps.sort((a, b) => a - b);
  const columns: ChartData['columns'] = [];
  const ends: ChartMarks['ends'][number][] = [];
  for (const other of compared) {
    // One of each curve that it has too; their run is named once.
    let label: string | undefined = shortName(other.name);
    spec.curves.forEach((own, index) => {
      const curve = other.spec.curves.find((one) => one.label === own.label);
      if (!curve) return;
      const values = smooth(
        curveValues(curve, other.lines, steps),
        spec.exact ? 0 : Math.max(smoothing, 0.6),
      );
      if (spec.curves.length > 1 && values.every((value) => value === null)) return;
      columns.push({ kind: 'ghost', curve: index, values });
      addEnd(ends, steps, values, { colour: '--c-ghost', ...(label ? { label } : {}), dot: false });
      label = undefined;
    });
  }
  spec.curves.forEach((curve, index) => {
    const values = curveValues(curve, lines, steps);
    if (spec.bars) {
      columns.push({ kind: 'bars', curve: index, values });
      return;
    }
    const line = smooth(values, smoothing);
    const { band } = curve;
    if (band) {
      const end = (side: 0 | 1) =>
        smooth(curveValues({ value: (at) => band(at)[side] }, lines, steps), smoothing);
      columns.push({ kind: 'high', curve: index, values: end(1) });
      columns.push({ kind: 'low', curve: index, values: end(0) });
    }
    if (smoothing > 0) columns.push({ kind: 'raw', curve: index, values });
    columns.push({ kind: 'line', curve: index, values: line });
    addEnd(ends, steps, line, {
      colour: curve.colour,
      ...(curve.label === undefined ? {} : { label: curve.label }),
      dot: true,
    });
  });
  const numbers = columns.flatMap(({ values }) => values.filter((value) => value !== null));
  const limit = spec.limit && Number.isFinite(spec.limit.value) ? spec.limit : undefined;
  // A limit that is far away would flatten the curve: it comes into sight when the curve nears it.
  const highest = Math.max(...numbers, Number.NEGATIVE_INFINITY);
  const near = limit && (highest > limit.value / 4 || numbers.length === 0) ? [limit.value] : [];
  const all = [...numbers, ...near, ...(spec.range ?? [])];
  return {
    steps,
    columns,
    scale:
      all.length === 0
        ? { min: 0, max: 1, ticks: [0, 0.5, 1] }
        : steadyScale(Math.min(...all), Math.max(...all), before),
    figure: figureOf(spec, lines),
    lastStep,
    marks: {
      events: [...new Set(events.filter(({ code }) => MARKED.has(code)).map(({ step }) => step))],
      ...(limit ? { limit } : {}),
      ends,
      gaps: gapsOf(spec, lines),
    },
  };
}

/** A run's name in a chart, which leaves little room for it. */
export function shortName(name: string): string {
  const letters = [...name];
  return letters.length <= 12 ? name : `${letters.slice(0, 11).join('').trimEnd()}…`;
}

function figureOf({ curves: [curve], exact }: ChartSpec, lines: RunRecord['lines']): number | undefined {
  if (!curve) return undefined;
  const values = curveValues(
    curve,
    lines,
    lines.map(({ step }) => step),
  );
  return exact ? (values.findLast((value) => value !== null) ?? undefined) : lastMean(values);
}

/** Events that tell something about the curves; checkpoints and checks are in the list alone. */
const MARKED = new Set([
  'paused',
  'resumed',
  'device-lost',
  'went-back',
  'changed',
  'kl-high',
  'reward-failed',
  'out-of-memory',
]);

function addEnd(
  ends: ChartMarks['ends'][number][],
  steps: readonly number[],
  values: readonly (number | null)[],
  end: { colour: string; label?: string; dot: boolean },
): void {
  const last = values.findLastIndex((value) => value !== null);
  if (last >= 0) ends.push({ ...end, step: steps[last]!, value: values[last]! });
}

/** Steps of the log in which a chart that has numbers has none. */
function gapsOf({ curves }: ChartSpec, lines: RunRecord['lines']): number[] {
  const has = lines.map((line, place) =>
    curves.some((curve) => Number.isFinite(curve.value(line, lines[place - 1]))),
  );
  const first = has.indexOf(true);
  if (first < 0) return [];
  return lines.flatMap(({ step }, place) => (place > first && !has[place] ? [step] : []));
}
