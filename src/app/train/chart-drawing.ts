import type uPlot from 'uplot';

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
    ctx.textAlign = 'right';
    ctx.fillText(limit.label, right, y(limit.value) - 4 * scale);
  }
  drawEnds(u, marks);
  ctx.restore();
}

function drawEnds({ ctx, bbox, valToPos }: uPlot, { ends }: ChartMarks): void {
  const scale = devicePixelRatio;
  const right = bbox.left + bbox.width;
  const placed = ends
    .map((end) => ({ ...end, x: valToPos(end.step, 'x', true), y: valToPos(end.value, 'y', true) }))
    .sort((a, b) => a.y - b.y);
  // Labels do not cover each other, nor the axis below them.
  const height = 11 * scale;
  const bottom = bbox.top + bbox.height;
  let above = Number.NEGATIVE_INFINITY;
  let left = placed.filter(({ label }) => label).length;
  ctx.font = canvasFont(10, scale);
  ctx.textBaseline = 'middle';
  ctx.strokeStyle = cssColour('--panel');
  ctx.lineWidth = 3 * scale;
  ctx.lineJoin = 'round';
  for (const { x, y, colour, label, dot } of placed) {
    if (dot) {
      ctx.fillStyle = cssColour(colour);
      ctx.beginPath();
      ctx.arc(x, y, 2.4 * scale, 0, 2 * Math.PI);
      ctx.fill();
    }
    if (!label) continue;
    // One without room to the right of its end stands above it.
    const fits = x + 6 * scale + ctx.measureText(label).width <= right + 4 * scale;
    const wanted = fits ? y : y - 7 * scale;
    left -= 1;
    const at = Math.max(above + height, Math.min(wanted, bottom - (left + 0.5) * height));
    above = at;
    ctx.fillStyle = cssColour(dot ? '--text-2' : '--text-3');
    ctx.textAlign = fits ? 'left' : 'right';
    const place = [label, fits ? x + 6 * scale : right, at] as const;
    // The run's own curves do not run through its words.
    if (dot) ctx.strokeText(...place);
    ctx.fillText(...place);
  }
}

function line(ctx: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number): void {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}
