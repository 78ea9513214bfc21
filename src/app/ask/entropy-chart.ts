import type { TokenInfo, TraceSentence } from '../../worker/protocol';

const MIN_SLOTS = 36;
/** Top of the axis where no token needs a higher one, nats. */
const LEAST_TOP = 1.45;
/** The first token has its number, whether or not a sentence starts there. */
const FIRST = [{ start: 0 }];

/** What the chart shows. */
export interface EntropyData {
  tokens: readonly TokenInfo[];
  /** How many of them there are now. */
  count: number;
  sentences: readonly TraceSentence[];
  pinned: number | undefined;
  live: boolean;
}

/** Heights in CSS pixels: of the bars, and of the row of token numbers under them (0: no numbers and no axis). */
export interface ChartSize {
  bars: number;
  numbers: number;
}

/** Places along the chart. While an answer grows they change in steps, so that the bars do not shift at each token. */
export function slotCount(tokens: number, live: boolean): number {
  if (!live) return Math.max(tokens, MIN_SLOTS);
  let slots = MIN_SLOTS;
  while (slots < tokens) slots = Math.ceil(slots * 1.5);
  return slots;
}

/** The token at a horizontal position; -1 where there is none. */
export function tokenAtX(x: number, width: number, tokens: number, live: boolean): number {
  const index = Math.floor((x / width) * slotCount(tokens, live));
  return index >= 0 && index < tokens ? index : -1;
}

/**
 * Entropy of every token as bars on a canvas, aha sentences tinted, in the colours of the page's theme. Tokens that
 * were added since the last drawing are added to the picture; all is drawn again only where something else changed.
 */
export class EntropyChart {
  private drawn: { data: EntropyData; key: string; top: number; ahas: number } | undefined;
  private colours: Record<'plain' | 'aha' | 'tint' | 'ink' | 'dim' | 'axis' | 'grid', string> | undefined;
  /** Places along the numbers' row that are taken. */
  private taken: [number, number][] = [];

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly size: ChartSize,
  ) {}

  /** Draws. `look` names whatever else changes the picture (the theme): another one draws all again. */
  draw(data: EntropyData, look: string): void {
    const width = this.canvas.clientWidth;
    const context = this.canvas.getContext('2d');
    if (!context || width === 0) return;
    const { tokens, count, sentences, pinned, live } = data;
    const slots = slotCount(count, live);
    const key = `${width} ${devicePixelRatio} ${slots} ${pinned ?? -1} ${look}`;
    const before = this.drawn;
    const grows = before?.key === key && before.data.tokens === tokens && before.data.count <= count;
    const from = grows ? before.data.count : 0;
    let top = grows ? before.top : LEAST_TOP;
    for (let i = from; i < count; i++) top = Math.max(top, tokens[i]!.entropy * 1.08);
    const ahas = sentences.reduce((sum, sentence) => sum + (sentence.aha ? 1 : 0), 0);
    const slot = width / slots;
    if (grows && top === before.top && ahas === before.ahas) {
      this.bars(context, data, { from, slot, top });
      if (from === 0 && count > 0) this.numbers(context, FIRST, slot, width);
      this.numbers(context, sentences.slice(before.data.sentences.length), slot, width);
    } else this.all(context, data, { width, slot, top });
    this.drawn = { data, key, top, ahas };
  }

  private all(
    context: CanvasRenderingContext2D,
    data: EntropyData,
    { width, slot, top }: { width: number; slot: number; top: number },
  ): void {
    const { canvas, size } = this;
    canvas.width = Math.round(width * devicePixelRatio);
    canvas.height = Math.round((size.bars + size.numbers) * devicePixelRatio);
    context.scale(devicePixelRatio, devicePixelRatio);
    const style = getComputedStyle(canvas);
    const colour = (name: string) => style.getPropertyValue(name);
    this.colours = {
      plain: colour('--c1'),
      aha: colour('--aha-line'),
      tint: colour('--aha-bg'),
      ink: colour('--text'),
      dim: colour('--text-3'),
      axis: colour('--c-axis'),
      grid: colour('--c-grid'),
    };
    context.font = `10px ${colour('--font-ui')}`;
    this.taken = [];
    context.fillStyle = this.colours.tint;
    for (const { aha, start, end } of data.sentences) {
      if (aha) context.fillRect(start * slot, 0, (end - start) * slot, size.bars);
    }
    this.axis(context, width, top);
    this.bars(context, data, { from: 0, slot, top });
    if (data.count === 0) return;
    this.pinnedNumber(context, data, slot, width);
    this.numbers(context, FIRST, slot, width);
    this.numbers(context, data.sentences, slot, width);
  }

  private axis(context: CanvasRenderingContext2D, width: number, top: number): void {
    const { bars, numbers } = this.size;
    const { axis, grid, dim } = this.colours!;
    const step = numbers === 0 ? top : top > 3 ? 1 : 0.5;
    context.textAlign = 'right';
    for (let nats = 0; nats < top; nats += step) {
      const y = nats === 0 ? bars - 1 : Math.round(bars - (nats / top) * bars) + 0.5;
      context.fillStyle = nats === 0 ? axis : grid;
      context.fillRect(0, y, width, 1);
      if (nats === 0) continue;
      context.fillStyle = dim;
      context.fillText(`${nats.toFixed(1)} nats`, width, y - 3);
    }
  }

  private bars(
    context: CanvasRenderingContext2D,
    { tokens, count, sentences, pinned }: EntropyData,
    { from, slot, top }: { from: number; slot: number; top: number },
  ): void {
    const { plain, aha, ink } = this.colours!;
    const { bars } = this.size;
    const wide = slot > 6 ? slot - (slot > 12 ? 4 : 2) : Math.max(slot - 1, slot * 0.8);
    const marked = sentences.filter((sentence) => sentence.aha && sentence.end > from);
    let next = 0;
    for (let i = from; i < count; i++) {
      while (next < marked.length && marked[next]!.end <= i) next += 1;
      const inAha = next < marked.length && marked[next]!.start <= i;
      const h = Math.max(1.5, (tokens[i]!.entropy / top) * bars);
      context.fillStyle = i === pinned ? ink : inAha ? aha : plain;
      context.fillRect(i * slot + (slot - wide) / 2, bars - h, wide, h);
    }
  }

  /** Token numbers at the start of sentences, where there is room. */
  private numbers(
    context: CanvasRenderingContext2D,
    sentences: readonly { start: number }[],
    slot: number,
    width: number,
  ): void {
    if (this.size.numbers === 0) return;
    context.textAlign = 'left';
    context.fillStyle = this.colours!.dim;
    for (const { start } of sentences) {
      const label = String(start + 1);
      const left = start * slot + 2;
      const right = left + context.measureText(label).width;
      if (right > width || this.taken.some(([from, to]) => left < to + 8 && right > from - 8)) continue;
      context.fillText(label, left, this.size.bars + 14);
      this.taken.push([left, right]);
    }
  }

  private pinnedNumber(
    context: CanvasRenderingContext2D,
    { tokens, count, pinned }: EntropyData,
    slot: number,
    width: number,
  ): void {
    const { bars, numbers } = this.size;
    if (numbers === 0 || pinned === undefined || pinned >= count) return;
    const middle = (pinned + 0.5) * slot;
    context.fillStyle = this.colours!.ink;
    context.beginPath();
    context.moveTo(middle - 4, bars + 9);
    context.lineTo(middle, bars + 4);
    context.lineTo(middle + 4, bars + 9);
    context.fill();
    context.textAlign = 'left';
    const label = `${pinned + 1} ${tokens[pinned]!.text.trim().slice(0, 16)}`;
    const size = context.measureText(label).width;
    const left = middle + 8 + size > width ? middle - 8 - size : middle + 8;
    context.fillText(label, left, bars + 14);
    this.taken.push([Math.min(left, middle - 6), Math.max(left + size, middle + 6)]);
  }
}
