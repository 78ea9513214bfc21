import type { TokenInfo, TraceSentence } from '../../worker/protocol';

/** CSS pixels of the bars' area and of the row of token numbers under it. */
const BARS = 108;
const NUMBERS = 18;
const MIN_SLOTS = 36;

/** Places along the strip. While an answer grows they change in steps, so that the bars do not shift at each token. */
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

/** Draws the strip in the colours of the page's theme, at the screen's resolution. */
export function drawEntropy(
  canvas: HTMLCanvasElement,
  {
    tokens,
    sentences,
    pinned,
    live,
  }: {
    tokens: readonly TokenInfo[];
    sentences: readonly TraceSentence[];
    pinned: number | undefined;
    live: boolean;
  },
): void {
  const width = canvas.clientWidth;
  const context = canvas.getContext('2d');
  if (!context || width === 0) return;
  const scale = devicePixelRatio;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round((BARS + NUMBERS) * scale);
  context.scale(scale, scale);
  const style = getComputedStyle(canvas);
  const colour = (name: string) => style.getPropertyValue(name);
  context.font = `10px ${colour('--font-ui')}`;

  const slot = width / slotCount(tokens.length, live);
  const top = Math.max(1.45, ...tokens.map((token) => token.entropy * 1.08));
  const height = (entropy: number) => (entropy / top) * BARS;
  const ahas = sentences.filter((sentence) => sentence.aha);
  const inAha = new Set<number>();
  for (const { start, end } of ahas) for (let i = start; i < end; i++) inAha.add(i);

  context.fillStyle = colour('--aha-bg');
  for (const { start, end } of ahas) context.fillRect(start * slot, 0, (end - start) * slot, BARS);

  const step = top > 3 ? 1 : 0.5;
  context.textAlign = 'right';
  for (let nats = 0; nats < top; nats += step) {
    const y = Math.round(BARS - height(nats)) + (nats === 0 ? 0 : 0.5);
    context.fillStyle = colour(nats === 0 ? '--c-axis' : '--c-grid');
    context.fillRect(0, y, width, 1);
    if (nats > 0) {
      context.fillStyle = colour('--text-3');
      context.fillText(`${nats.toFixed(1)} nats`, width, y - 3);
    }
  }

  const bar = slot > 6 ? slot - 4 : Math.max(slot - 1, slot * 0.8);
  const colours = { plain: colour('--c1'), aha: colour('--aha-line'), pinned: colour('--text') };
  tokens.forEach((token, i) => {
    const h = Math.max(1.5, height(token.entropy));
    context.fillStyle = i === pinned ? colours.pinned : inAha.has(i) ? colours.aha : colours.plain;
    context.fillRect(i * slot + (slot - bar) / 2, BARS - h, bar, h);
  });
  drawNumbers(context, {
    tokens,
    sentences,
    pinned,
    slot,
    width,
    dim: colour('--text-3'),
    ink: colour('--text'),
  });
}

/** Token numbers at the start of sentences, where there is room, and at the pinned token. */
function drawNumbers(
  context: CanvasRenderingContext2D,
  {
    tokens,
    sentences,
    pinned,
    slot,
    width,
    dim,
    ink,
  }: {
    tokens: readonly TokenInfo[];
    sentences: readonly TraceSentence[];
    pinned: number | undefined;
    slot: number;
    width: number;
    dim: string;
    ink: string;
  },
): void {
  const y = BARS + 14;
  const taken: [number, number][] = [];
  context.textAlign = 'left';
  if (pinned !== undefined && pinned < tokens.length) {
    const middle = (pinned + 0.5) * slot;
    context.fillStyle = ink;
    context.beginPath();
    context.moveTo(middle - 4, BARS + 9);
    context.lineTo(middle, BARS + 4);
    context.lineTo(middle + 4, BARS + 9);
    context.fill();
    const label = `${pinned + 1} ${tokens[pinned]!.text.trim().slice(0, 16)}`;
    const size = context.measureText(label).width;
    const left = middle + 8 + size > width ? middle - 8 - size : middle + 8;
    context.fillText(label, left, y);
    taken.push([Math.min(left, middle - 6), Math.max(left + size, middle + 6)]);
  }
  context.fillStyle = dim;
  const starts = tokens.length > 0 ? [0, ...sentences.map((sentence) => sentence.start)] : [];
  for (const start of new Set(starts)) {
    const label = String(start + 1);
    const left = start * slot + 2;
    const right = left + context.measureText(label).width;
    if (right > width || taken.some(([from, to]) => left < to + 8 && right > from - 8)) continue;
    context.fillText(label, left, y);
    taken.push([left, right]);
  }
}
