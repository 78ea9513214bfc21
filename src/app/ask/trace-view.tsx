import { useEffect, useRef } from 'react';
import { type Shown, useInspectedIndex, useView } from '../store/app-services';
import { endingSentence } from './answer-facts';
import type { TraceLayout } from './trace-layout';
import { TraceRow } from './trace-row';
import { useTokenClicks } from './use-token-clicks';

/**
 * The think trace: a line a sentence, tags in mono, aha sentences marked. A log that speaks by sentence: the one
 * being written is busy until it is complete.
 */
export function TraceView({ shown, layout }: { shown: Shown; layout: TraceLayout }) {
  const { answer, sample, index } = shown;
  const box = useRef<HTMLDivElement>(null);
  const shading = useView((state) => state.shading);
  const pinned = useView((state) => state.pinned) ?? -1;
  const inspected = useInspectedIndex(sample);
  const streaming = sample.status === 'streaming';
  const last = layout.lines.at(-1);
  const writing = streaming && !layout.answer ? last : undefined;
  const fork = answer.fork?.position ?? -1;
  useTokenClicks(box);
  // A token that is chosen by keys must be in sight, and keep the focus if one of its like had it.
  useEffect(() => {
    if (pinned < 0) return;
    const token = document.querySelector<HTMLElement>(`[data-token="${pinned}"]`);
    token?.scrollIntoView({ block: 'nearest' });
    if (document.activeElement?.hasAttribute('data-token')) token?.focus({ preventScroll: true });
  }, [pinned]);
  const ending = endingSentence(shown);
  return (
    <div
      ref={box}
      className="trace"
      data-testid="think"
      role="log"
      aria-live="polite"
      aria-label="What the model thinks"
    >
      {layout.lines.map((line) => (
        <TraceRow
          key={`${line.kind} ${line.start}`}
          answerKey={`${answer.id} ${index}`}
          tokens={sample.tokens}
          line={line}
          shading={shading}
          pinned={within(line, pinned)}
          focusable={within(line, inspected)}
          fork={fork < line.start ? -1 : Math.min(fork, line.end)}
          writing={line === writing}
        />
      ))}
      {streaming && !last && <i className="caret waiting" />}
      {ending && <p className="ending t3 sm">{ending}</p>}
    </div>
  );
}

function within(line: { start: number; end: number }, index: number): number {
  return index >= line.start && index < line.end ? index : -1;
}
