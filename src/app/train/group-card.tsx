import { Fragment, memo, useLayoutEffect, useRef } from 'react';
import type { Trace } from '../../worker/protocol';
import { AdvantageBar } from '../shared/advantage-bar';
import { formatSigned, signTone } from '../shared/format';
import { useMediaQuery } from '../shared/use-media-query';
import type { GroupCard as Card } from './group-facts';

/** One answer of the current group: its thought as it grows, then answer, reward and advantage. */
export const GroupCard = memo(
  function GroupCard({ card, live }: { card: Card; live: boolean }) {
    const { trace, status } = card;
    const body = useRef<HTMLDivElement>(null);
    const still = useMediaQuery('(prefers-reduced-motion: reduce)');
    const writing = live && status === 'writing';
    // biome-ignore lint/correctness/useExhaustiveDependencies: more text moves the end
    useLayoutEffect(() => {
      const element = body.current;
      if (writing && element && !still) element.scrollTop = element.scrollHeight;
    }, [card, writing, still]);
    return (
      <li className="tg-card" data-testid="train-answer" data-status={status}>
        <div
          ref={body}
          className="tg-body"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a panel that scrolls must be reachable by keys
          tabIndex={0}
          role="log"
          aria-live="off"
          aria-label={`Answer ${card.sample + 1}`}
        >
          {trace && <TraceText trace={trace} />}
          {writing && <i className="caret" aria-hidden="true" />}
        </div>
        <Foot card={card} />
      </li>
    );
  },
  (a, b) =>
    a.live === b.live &&
    a.card.row === b.card.row &&
    a.card.trace === b.card.trace &&
    a.card.status === b.card.status,
);

/** The thought's sentences, those in which the model checks or corrects itself marked. */
export function TraceText({ trace }: { trace: Trace }) {
  if (trace.sentences.length === 0) return <span>{trace.text.replace(/<\/?think>/g, '').trim()}</span>;
  return trace.sentences.map(({ text, start, aha }) =>
    aha ? (
      <Fragment key={start}>
        <mark className="aha-text" title={aha.explanation ?? aha.label}>
          {text.trim()}
          <span className="hidden"> ({aha.label})</span>
        </mark>{' '}
      </Fragment>
    ) : (
      <span key={start}>{text} </span>
    ),
  );
}

function Foot({ card: { sample, status, tokens, row } }: { card: Card }) {
  if (!row) {
    const words = {
      waiting: 'waiting',
      writing: `writing, token ${tokens}`,
      ended: `${tokens} tokens, not scored yet`,
      scored: '',
    }[status];
    return (
      <div className="tg-foot xs t3">
        {sample + 1}, {words}
      </div>
    );
  }
  return (
    <div className="tg-foot">
      <span>
        <span className="t3 xs">{sample + 1}</span>{' '}
        {row.answer ? (
          <b>{row.answer}</b>
        ) : (
          <span className="t3 xs">{row.terminated ? 'none' : 'cut off'}</span>
        )}
      </span>
      <b className={signTone(row.reward)} title={rewardParts(row.rewards)}>
        <span className="hidden">reward </span>
        {formatSigned(row.reward)}
      </b>
      {row.advantage === undefined ? (
        <span />
      ) : (
        <>
          <AdvantageBar value={row.advantage} />
          <span className={`xs ${signTone(row.advantage)}`}>
            <span className="hidden">advantage </span>
            {formatSigned(row.advantage)}
          </span>
        </>
      )}
    </div>
  );
}

/** "accuracy_reward 1.00, format_reward 0.50". */
export function rewardParts(rewards: Readonly<Record<string, number>>): string {
  return Object.entries(rewards)
    .map(([name, value]) => `${name} ${formatSigned(value)}`)
    .join(', ');
}
