import { type MouseEvent, useEffect, useRef, useState } from 'react';
import { useMediaQuery } from '../shared/use-media-query';
import { useView } from '../store/app-services';
import type { SampleState } from '../store/engine-state';
import { type ChartSize, EntropyChart, tokenAtX } from './entropy-chart';

/** A sample's entropy as bars, kept up to date while it streams. */
export function EntropyCanvas({
  sample,
  size,
  label,
  pinned,
  onPick,
}: {
  sample: SampleState;
  /** One object for all time. */
  size: ChartSize;
  /** What a screen reader says. */
  label: string;
  pinned?: number | undefined;
  /** Called with the token under a click. */
  onPick?: (index: number) => void;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const chart = useRef<EntropyChart>(null);
  const [width, setWidth] = useState(0);
  const [restored, setRestored] = useState(0);
  const theme = useView((view) => view.theme);
  const systemDark = useMediaQuery('(prefers-color-scheme: dark)');
  const { tokens, count, trace, status } = sample;
  const live = status === 'streaming' || status === 'prefill';
  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    chart.current = new EntropyChart(element, size);
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    // The picture goes with the GPU's process, if that crashes.
    const onRestored = () => setRestored((times) => times + 1);
    element.addEventListener('contextrestored', onRestored);
    return () => {
      observer.disconnect();
      element.removeEventListener('contextrestored', onRestored);
    };
  }, [size]);
  useEffect(() => {
    const sentences = trace?.sentences ?? [];
    const look = `${theme} ${systemDark} ${restored}`;
    if (width > 0) chart.current?.draw({ tokens, count, sentences, pinned, live }, look);
  }, [tokens, count, trace, pinned, live, width, theme, systemDark, restored]);
  const onClick =
    onPick &&
    ((event: MouseEvent) => {
      const box = event.currentTarget.getBoundingClientRect();
      const index = tokenAtX(event.clientX - box.left, box.width, count, live);
      if (index >= 0) onPick(index);
    });
  return (
    <canvas
      ref={canvas}
      role="img"
      aria-label={label}
      style={{ height: size.bars + size.numbers }}
      onClick={onClick}
    />
  );
}

/** The chart in words: how many tokens, and the one with the highest entropy. */
export function spokenEntropy(
  { tokens, count, status }: SampleState,
  name: (text: string) => string,
): string {
  if (count === 0) return 'Entropy per token: no tokens yet';
  // A label that changes with every token would be work for nobody: it is said once the answer has ended.
  if (status === 'streaming') return 'Entropy per token, growing with the answer';
  let top = 0;
  for (let i = 1; i < count; i++) if (tokens[i]!.entropy > tokens[top]!.entropy) top = i;
  const { entropy, text } = tokens[top]!;
  return `Entropy of ${count} tokens; highest ${entropy.toFixed(2)} nats at token ${top + 1}, ${name(text)}`;
}
