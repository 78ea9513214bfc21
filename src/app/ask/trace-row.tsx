import { memo } from 'react';
import type { TokenInfo } from '../../worker/protocol';
import { Icon } from '../shared/icon';
import type { Shading } from '../store/view';
import { TokenRun } from './token-run';
import { ahaIcon, ahaReason, type TraceLine } from './trace-layout';

interface Props {
  /** Of which answer the tokens are. */
  answerKey: string;
  tokens: readonly TokenInfo[];
  line: TraceLine;
  shading: Shading;
  /** The pinned token, where it is in this line; else -1. */
  pinned: number;
  /** The token that Tab reaches, where it is in this line; else -1. */
  focusable: number;
  /** The token at which the answer left another one, where it is in this line or after it; else -1. */
  fork: number;
  /** True while tokens are being added to this line. */
  writing: boolean;
}

/** One line of the trace. Drawn again only when it changed: an answer's tokens are only ever added to. */
export const TraceRow = memo(function TraceRow({ line, writing, ...run }: Props) {
  const { aha, kind } = line;
  const tokens = <TokenRun {...run} range={line} shading={aha || kind === 'tag' ? 'none' : run.shading} />;
  if (kind === 'tag') return <div className="tag-line mono">{tokens}</div>;
  return (
    <div className={`sent ${aha ? 'aha' : ''}`} aria-busy={writing} data-testid={aha ? 'aha' : undefined}>
      <span className="n" aria-hidden="true">
        {line.start + 1}
      </span>
      <span className="tx">
        <span>{tokens}</span>
        {writing && <i className="caret" />}
      </span>
      {aha && (
        <span className="tag" title={ahaReason(aha)}>
          <Icon name={ahaIcon(aha)} size={13} />
          {aha.label}
        </span>
      )}
    </div>
  );
}, same);

function same(a: Props, b: Props): boolean {
  return (
    a.answerKey === b.answerKey &&
    a.line.start === b.line.start &&
    a.line.end === b.line.end &&
    a.line.kind === b.line.kind &&
    a.line.aha?.kind === b.line.aha?.kind &&
    a.line.aha?.label === b.line.aha?.label &&
    a.shading === b.shading &&
    a.pinned === b.pinned &&
    a.focusable === b.focusable &&
    a.fork === b.fork &&
    a.writing === b.writing
  );
}
