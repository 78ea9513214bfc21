import { useEffect, useRef, useState } from 'react';
import { visibleToken } from '../shared/format';
import { useMediaQuery } from '../shared/use-media-query';
import { useView } from '../store/app-services';
import type { AnswerState } from '../store/engine-state';
import { drawEntropy, tokenAtX } from './draw-entropy';
import { useActions } from './use-actions';

/** Entropy of every token as bars, aha sentences tinted. A click pins a token. */
export function EntropyStrip({ answer }: { answer: AnswerState }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const theme = useView((view) => view.theme);
  const systemDark = useMediaQuery('(prefers-color-scheme: dark)');
  const pinned = useView((view) => view.pinned);
  const { pin } = useActions();
  const { tokens, trace, status } = answer;
  const live = status === 'streaming' || status === 'prefill';
  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a change of theme changes the colours that are read
  useEffect(() => {
    if (canvas.current)
      drawEntropy(canvas.current, { tokens, sentences: trace?.sentences ?? [], pinned, live });
  }, [tokens, trace, pinned, live, width, theme, systemDark]);
  return (
    <div className="ent">
      <div className="row">
        <h3 className="h">Entropy per token</h3>
        <span className="sp row xs t3 legend">
          <span className="row">
            <i className="swatch plain" />
            plain
          </span>
          <span className="row">
            <i className="swatch aha" />
            aha sentence
          </span>
        </span>
      </div>
      <canvas
        ref={canvas}
        role="img"
        aria-label={spokenSummary(tokens)}
        onClick={(event) => {
          const box = event.currentTarget.getBoundingClientRect();
          const index = tokenAtX(event.clientX - box.left, box.width, tokens.length, live);
          if (index >= 0) pin(index);
        }}
      />
    </div>
  );
}

function spokenSummary(tokens: AnswerState['tokens']): string {
  if (tokens.length === 0) return 'Entropy per token: no tokens yet';
  let top = 0;
  for (let i = 1; i < tokens.length; i++) if (tokens[i]!.entropy > tokens[top]!.entropy) top = i;
  const { entropy, text } = tokens[top]!;
  return `Entropy of ${tokens.length} tokens; highest ${entropy.toFixed(2)} nats at token ${top + 1}, ${visibleToken(text)}`;
}
