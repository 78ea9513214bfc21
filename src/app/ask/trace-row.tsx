import { memo } from 'react';
import type { TokenInfo } from '../../worker/protocol';
import { Icon } from '../shared/icon';
import type { Shading } from '../store/view';
import { TokenRun } from './token-run';
import type { TraceLine } from './trace-layout';

interface Props {
  answerId: number;
  tokens: readonly TokenInfo[];
  line: TraceLine;
  shading: Shading;
  /** The pinned token, where it is in this line; else -1. */
  pinned: number;
  /** The token that Tab reaches, where it is in this line; else -1. */
  focusable: number;
  /** True while tokens are being added to this line. */
  writing: boolean;
}

/** One line of the trace. Drawn again only when it changed: an answer's tokens are only ever added to. */
export const TraceRow = memo(function TraceRow({ tokens, line, shading, pinned, focusable, writing }: Props) {
  const { aha, kind } = line;
  const run = (
    <TokenRun
      tokens={tokens}
      range={line}
      shading={aha || kind === 'tag' ? 'none' : shading}
      pinned={pinned}
      focusable={focusable}
    />
  );
  if (kind === 'tag') return <div className="tag-line mono">{run}</div>;
  return (
    <div className={`sent ${aha ? 'aha' : ''}`} aria-busy={writing} data-testid={aha ? 'aha' : undefined}>
      <span className="n" aria-hidden="true">
        {line.start + 1}
      </span>
      <span className="tx">
        <span>{run}</span>
        {writing && <i className="caret" />}
      </span>
      {aha && (
        <span className="tag" title={`Marked by a rule on the text: ${aha.rule}`}>
          <Icon name={aha.kind === 'checks' ? 'loop' : 'swap'} size={13} />
          {aha.label}
        </span>
      )}
    </div>
  );
}, same);

function same(a: Props, b: Props): boolean {
  return (
    a.answerId === b.answerId &&
    a.line.start === b.line.start &&
    a.line.end === b.line.end &&
    a.line.kind === b.line.kind &&
    a.line.aha?.kind === b.line.aha?.kind &&
    a.line.aha?.label === b.line.aha?.label &&
    a.shading === b.shading &&
    a.pinned === b.pinned &&
    a.focusable === b.focusable &&
    a.writing === b.writing
  );
}
