import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EntropyChart, type EntropyData } from '../../src/app/ask/entropy-chart';
import type { TokenInfo, TraceSentence } from '../../src/worker/protocol';

/** A canvas that lists what is drawn on it since it was cleared, and how often that was. */
function recordingCanvas() {
  const drawn: string[] = [];
  let cleared = 0;
  const context = {
    fillStyle: '',
    scale() {},
    beginPath() {},
    moveTo() {},
    lineTo() {},
    fill() {},
    fillRect: (...box: number[]) => drawn.push(`${context.fillStyle} ${box.map((n) => n.toFixed(3))}`),
    fillText: (text: string, x: number, y: number) => drawn.push(`${text} ${x.toFixed(3)} ${y}`),
    measureText: (text: string) => ({ width: text.length * 6 }),
  };
  const canvas = {
    clientWidth: 600,
    set width(_: number) {
      drawn.length = 0;
      cleared += 1;
    },
    height: 0,
    getContext: () => context,
  } as unknown as HTMLCanvasElement;
  return { canvas, seen: () => [...drawn].sort(), cleared: () => cleared };
}

const SIZE = { bars: 100, numbers: 18 };

function tokensOf(count: number, entropy: (i: number) => number): TokenInfo[] {
  return Array.from({ length: count }, (_, i) => ({
    id: i,
    text: ` t${i}`,
    prob: 1,
    logp: 0,
    rank: 1,
    entropy: entropy(i),
    alternatives: [],
  }));
}

/** Sentences of seven tokens, every third marked once it is complete. */
function sentencesOf(count: number): TraceSentence[] {
  return Array.from({ length: Math.ceil(count / 7) }, (_, i) => {
    const end = Math.min(count, (i + 1) * 7);
    const marked = i % 3 === 1 && end === (i + 1) * 7;
    return {
      text: '',
      start: i * 7,
      end,
      ...(marked ? { aha: { kind: 'checks' as const, rule: 'wait', label: '', explanation: '' } } : {}),
    };
  });
}

describe('EntropyChart', () => {
  beforeEach(() => {
    vi.stubGlobal('devicePixelRatio', 1);
    vi.stubGlobal('getComputedStyle', () => ({ getPropertyValue: (name: string) => name }));
  });
  afterEach(() => vi.unstubAllGlobals());

  it('shows the same, drawn token by token, as drawn at once, and seldom starts over', () => {
    // A peak that does not fit the axis comes late.
    const tokens = tokensOf(200, (i) => (i === 120 ? 4 : Math.abs(Math.sin(i * 1.7))));
    const data = (count: number, pinned?: number): EntropyData => ({
      tokens,
      count,
      sentences: sentencesOf(count),
      pinned,
      live: true,
    });
    const grown = recordingCanvas();
    const chart = new EntropyChart(grown.canvas, SIZE);
    for (let count = 0; count <= 200; count += 1 + (count % 3)) {
      const pinned = count > 150 ? 12 : undefined;
      chart.draw(data(count, pinned), 'light');
      const whole = recordingCanvas();
      new EntropyChart(whole.canvas, SIZE).draw(data(count, pinned), 'light');
      expect([count, grown.seen()]).toEqual([count, whole.seen()]);
    }
    // The first drawing, wider places five times, one peak, a pinned token, and a mark for every third sentence.
    expect(grown.cleared()).toBeLessThan(22);
  });

  it('draws all again with another theme, width or pinned token', () => {
    const { canvas, cleared } = recordingCanvas();
    const chart = new EntropyChart(canvas, SIZE);
    const data = { tokens: tokensOf(5, () => 1), count: 5, sentences: [], pinned: undefined, live: false };
    chart.draw(data, 'light');
    chart.draw(data, 'light');
    expect(cleared()).toBe(1);
    chart.draw(data, 'dark');
    chart.draw({ ...data, pinned: 2 }, 'dark');
    Object.assign(canvas, { clientWidth: 300 });
    chart.draw({ ...data, pinned: 2 }, 'dark');
    expect(cleared()).toBe(4);
  });
});
