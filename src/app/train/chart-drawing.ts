import type uPlot from 'uplot';
import { spreadLabels } from './spread-labels';

/** What is drawn over a chart's curves. Positions are values of its scales. */
export interface ChartMarks {
  /** Steps at which something happened: dotted lines. */
  events: readonly number[];
  limit?: { value: number; label: string };
  /** Ends of curves: a dot where `dot`, and a label. */
  ends: readonly { step: number; value: number; colour: string; label?: string; dot: boolean }[];
  /** Steps without a value among steps that have one: a tick on the axis. */
  gaps: readonly number[];
}

/** Colours of a chart as CSS has them now. */
export function cssColour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** A font of the page, for a canvas. @param size CSS pixels. */
export function canvasFont(size: number, scale = 1): string {
  return `${size * scale}px ${getComputedStyle(document.body).fontFamily}`;
}

/** Draws events, limit and gaps below the curves' ends. All positions are device pixels. */
export function drawMarks(u: uPlot, marks: ChartMarks): void {
  const { ctx, bbox } = u;
  const scale = devicePixelRatio;
  const right = bbox.left + bbox.width;
  const bottom = bbox.top + bbox.height;
  const x = (step: number) => u.valToPos(step, 'x', true);
  const y = (value: number) => u.valToPos(value, 'y', true);
  ctx.save();
  ctx.lineWidth = scale;
  ctx.strokeStyle = cssColour('--ctl-line');
  ctx.setLineDash([1.5 * scale, 2.5 * scale]);
  for (const step of marks.events) line(ctx, x(step), bbox.top, x(step), bottom);
  ctx.setLineDash([]);
  for (const step of marks.gaps) line(ctx, x(step), bottom - 4 * scale, x(step), bottom);
  const { limit } = marks;
  const { min, max } = u.scales.y!;
  if (limit && limit.value >= min! && limit.value <= max!) {
    ctx.strokeStyle = cssColour('--text-2');
    ctx.setLineDash([3 * scale, 3 * scale]);
    line(ctx, bbox.left, y(limit.value), right, y(limit.value));
    ctx.setLineDash([]);
    ctx.font = canvasFont(9.5, scale);
    ctx.fillStyle = cssColour('--text-2');
    ctx.textAlign = 'left';
    ctx.textBaseline = 'middle';
    words(ctx, limit.label, ...clearestPlace(u, ctx.measureText(limit.label).width, y(limit.value)));
  }
  drawEnds(u, marks);
  ctx.restore();
}

/** Where along a level line a text of one line covers the fewest points of the curves: its left end and its middle. */
function clearestPlace({ bbox, data, valToPos }: uPlot, width: number, level: number): [number, number] {
  const scale = devicePixelRatio;
  const [half, lift] = [6 * scale, 7 * scale];
  const [steps, ...columns] = data;
  const points = columns.flatMap((values) =>
    [...values].flatMap((value, i) =>
      value == null ? [] : [[valToPos(steps[i]!, 'x', true), valToPos(value, 'y', true)] as const],
    ),
  );
  const covered = ([left, middle]: [number, number]) =>
    points.filter(([x, y]) => x > left && x < left + width && Math.abs(y - middle) < half).length;
  const start = bbox.left + 2 * scale;
  const ends = [Math.max(start, bbox.left + bbox.width - width), start];
  const places = ends.flatMap((left): [number, number][] => [
    [left, level - lift],
    [left, level + lift],
  ]);
  return places.reduce((best, place) => (covered(place) < covered(best) ? place : best));
}

/** Between a curve's end and its label, in CSS pixels. */
const GAP = 6;

/**
 * CSS pixels that the labels at the curves' ends need to the right of the last step, where the chart has `width` in all
 * from its first step on.
 */
export function roomForEnds({ ctx }: uPlot, { ends }: ChartMarks, lastStep: number, width: number): number {
  ctx.save();
  ctx.font = canvasFont(10);
  const rooms = ends.map(({ label, step }) => {
    const before = step / lastStep;
    return label ? (GAP + ctx.measureText(label).width - (1 - before) * width) / before : 0;
  });
  ctx.restore();
  return Math.ceil(Math.max(0, ...rooms));
}

/** Dots at the curves' ends, and labels beside them. */
function drawEnds({ ctx, bbox, valToPos }: uPlot, { ends }: ChartMarks): void {
  const scale = devicePixelRatio;
  const placed = ends.map((end) => ({
    ...end,
    x: valToPos(end.step, 'x', true),
    y: valToPos(end.value, 'y', true),
  }));
  for (const { x, y, colour, dot } of placed) {
    if (!dot) continue;
    ctx.fillStyle = cssColour(colour);
    ctx.beginPath();
    ctx.arc(x, y, 2.4 * scale, 0, 2 * Math.PI);
    ctx.fill();
  }
  const labels = placed.filter(({ label }) => label);
  const heights = spreadLabels(
    labels.map(({ y }) => y),
    11 * scale,
    bbox.top + bbox.height,
  );
  ctx.font = canvasFont(10, scale);
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'left';
  for (const [place, { x, y, colour, label, dot }] of labels.entries()) {
    const [left, at] = [x + GAP * scale, heights[place]!];
    // One that others push away is led to.
    if (Math.abs(at - y) > 3 * scale) {
      ctx.strokeStyle = cssColour(colour);
      line(ctx, x, y, left - scale, at);
    }
    ctx.fillStyle = cssColour(dot ? '--text-2' : '--text-3');
    words(ctx, label!, left, at);
  }
}

/** Text with an edge of the ground's colour: no curve runs through it. */
function words(ctx: CanvasRenderingContext2D, text: string, x: number, y: number): void {
  ctx.save();
  ctx.strokeStyle = cssColour('--panel');
  ctx.lineWidth = 3 * devicePixelRatio;
  ctx.lineJoin = 'round';
  ctx.strokeText(text, x, y);
  ctx.restore();
  ctx.fillText(text, x, y);
}

function line(ctx: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number): void {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}

/** A number of an axis, exact to three digits: "1.6K", ".5", "2.5e−5". */
export function tickText(value: number): string {
  const size = Math.abs(value);
  const text =
    size >= 1000
      ? THOUSANDS.format(value)
      : size > 0 && size < 1e-3
        ? Number(value.toPrecision(3)).toExponential()
        : String(Number(value.toPrecision(3)));
  return text.replaceAll('-', '−').replace(/^(−?)0\./, '$1.');
}

const THOUSANDS = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
