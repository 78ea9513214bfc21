import { memo, useEffect, useLayoutEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { ChartData } from './chart-data';
import { canvasFont, cssColour, drawMarks, roomForEnds, tickText } from './chart-drawing';
import type { ChartSpec } from './chart-model';
import { LAST_STEPS } from './run-facts';

const HEIGHT = 98;
const Y_AXIS = 30;
/** Charts whose cursors move together. */
const SYNC = 'train';

interface Props {
  spec: ChartSpec;
  data: ChartData;
  /** Changes when colours do. */
  theme: string;
}

/** One chart: name, figure (under the cursor: the value there), curves. */
export const MetricChart = memo(function MetricChart({ spec, data, theme }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLElement>(null);
  const plot = useRef<uPlot>(undefined);
  const latest = useRef({ spec, data });
  latest.current = { spec, data };
  const shape = `${theme} ${data.columns.map(({ kind, curve }) => `${kind}${curve}`).join()} ${spec.curves.map(({ colour }) => colour).join()}`;
  // biome-ignore lint/correctness/useExhaustiveDependencies: made anew where the columns or the colours are others
  useLayoutEffect(() => {
    const element = box.current!;
    const show = (u: uPlot) => {
      if (readout.current) readout.current.textContent = readoutText(latest.current, u.cursor.idx);
    };
    const made = new uPlot(
      options(element.clientWidth, () => latest.current, show),
      aligned(latest.current.data),
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [shape]);
  useEffect(() => {
    const now = plot.current;
    now?.setData(aligned(data));
    // The labels at the ends may need other room.
    now?.setSize({ width: now.width, height: HEIGHT });
  }, [data]);
  const several = spec.curves.length > 1;
  return (
    <figure className="chart" data-testid="chart" data-chart={spec.name}>
      <figcaption>
        <span className="med">{spec.name}</span>
        {spec.unit && <span className="xs t3 ell">{spec.unit}</span>}
        {!several && (
          <b ref={readout} title={spec.exact ? 'At the last step' : `Mean of the last ${LAST_STEPS} steps`}>
            {readoutText({ spec, data }, null)}
          </b>
        )}
      </figcaption>
      <div ref={box} className="chart-box" role="img" aria-label={spoken(spec, data)} />
    </figure>
  );
});

function aligned({ steps, columns }: ChartData): uPlot.AlignedData {
  return [steps, ...columns.map(({ values }) => values)] as uPlot.AlignedData;
}

/** The curve's own values, not smoothed. */
function ownValues({ columns }: ChartData): readonly (number | null)[] {
  return (
    (
      columns.find(({ kind }) => kind === 'raw' || kind === 'bars') ??
      columns.find(({ kind }) => kind === 'line')
    )?.values ?? []
  );
}

function readoutText({ spec, data }: Pick<Props, 'spec' | 'data'>, at: number | null | undefined): string {
  if (at != null) {
    const value = ownValues(data)[at];
    return value == null ? '–' : `${spec.format(value)} at ${data.steps[at]}`;
  }
  return data.figure === undefined ? '–' : spec.format(data.figure);
}

/** The chart in a sentence. */
function spoken(spec: ChartSpec, data: ChartData): string {
  const values = ownValues(data);
  const first = values.findIndex((value) => value !== null);
  if (first < 0) return `${spec.name}: no values yet, from step 1`;
  const last = values.findLastIndex((value) => value !== null);
  return `${spec.name}${spec.curves.length > 1 ? `, ${spec.curves[0]!.label}` : ''}: ${spec.format(values[first]!)} at step ${data.steps[first]}, ${spec.format(values[last]!)} at step ${data.steps[last]}`;
}

function options(
  width: number,
  now: () => Pick<Props, 'spec' | 'data'>,
  show: (u: uPlot) => void,
): uPlot.Options {
  const { spec, data } = now();
  const grid = { stroke: cssColour('--c-grid'), width: 1 };
  const axis = { stroke: cssColour('--text-3'), font: canvasFont(9.5), ticks: { show: false }, gap: 3 };
  const high = data.columns.findIndex(({ kind }) => kind === 'high');
  const rightRoom = (u: uPlot) => {
    const { marks, lastStep } = now().data;
    return Math.max(12, roomForEnds(u, marks, lastStep, (u.width || width) - Y_AXIS));
  };
  return {
    width,
    height: HEIGHT,
    padding: [6, rightRoom, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false }, sync: { key: SYNC } },
    scales: {
      x: { time: false, range: () => [0, now().data.lastStep] },
      y: { range: () => [now().data.scale.min, now().data.scale.max] },
    },
    axes: [
      {
        ...axis,
        size: 16,
        grid: { show: false },
        border: { show: true, stroke: cssColour('--c-axis'), width: 1 },
        splits: () => [0, Math.round(now().data.lastStep / 2), now().data.lastStep],
        values: (_, splits) => splits.map(String),
      },
      {
        ...axis,
        size: Y_AXIS,
        grid,
        splits: () => now().data.scale.ticks,
        values: (_, splits) => splits.map(tickText),
      },
    ],
    series: [{}, ...data.columns.map((column) => seriesOptions(spec, column))],
    ...(high < 0
      ? {}
      : {
          bands: [
            {
              series: [high + 1, high + 2],
              fill: withAlpha(cssColour(spec.curves[0]!.colour), Number(cssColour('--c-band'))),
            },
          ],
        }),
    hooks: { draw: [(u) => drawMarks(u, now().data.marks)], setCursor: [show] },
  };
}

function seriesOptions(spec: ChartSpec, { kind, curve }: ChartData['columns'][number]): uPlot.Series {
  const { colour, dash } = spec.curves[curve]!;
  const stroke = cssColour(kind === 'ghost' ? '--c-ghost' : colour);
  const base: uPlot.Series = { spanGaps: false, points: { show: false } };
  const dashed = dash ? { dash: [...dash] } : {};
  switch (kind) {
    case 'high':
    case 'low':
      return { ...base, stroke: 'transparent', width: 0 };
    case 'raw':
      return { ...base, stroke: withAlpha(stroke, 0.4), width: 1 };
    case 'bars':
      return {
        ...base,
        fill: withAlpha(stroke, 0.85),
        stroke: 'transparent',
        width: 0,
        paths: uPlot.paths.bars!({ size: [0.7, 6], align: 0 }),
      };
    case 'ghost':
      return { ...base, stroke, width: 1.2, ...dashed };
    case 'line':
      // A run's first point has no line yet: it is seen as the dot at its end.
      return { ...base, stroke, width: 1.7, ...dashed };
  }
}

function withAlpha(colour: string, alpha: number): string {
  return `color-mix(in srgb, ${colour} ${alpha * 100}%, transparent)`;
}
