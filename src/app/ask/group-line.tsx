import { memo } from 'react';
import type { TokenInfo } from '../../worker/protocol';
import { Icon } from '../shared/icon';
import type { SharedPart } from './group-differences';
import { ahaReason, rangeText, type TraceLine } from './trace-layout';

interface Props {
  /** Of which answer the tokens are: those of one answer never change once they are there. */
  answerKey: string;
  tokens: readonly TokenInfo[];
  line: TraceLine;
  /** True where the pinned token is in this line. */
  current: boolean;
  /** True while tokens are being added to it. */
  writing: boolean;
  /** Shown as differences: where the other answers leave this one. Else undefined. */
  parts?: readonly SharedPart[] | undefined;
  /** Other answers that have the same sentence, by number. */
  twins?: string | undefined;
  /** Answers of the group. */
  total: number;
}

/** A sentence of an answer in a group, or text that no sentence holds. Drawn again only when it changed. */
export const GroupLine = memo(function GroupLine({
  tokens,
  line,
  current,
  writing,
  parts,
  twins,
  total,
}: Props) {
  const { aha } = line;
  return (
    <p
      className={`gl ${aha ? 'aha' : ''} ${current ? 'current' : ''} ${twins ? 'twin' : ''}`}
      title={aha && ahaReason(aha)}
      data-current={current || undefined}
    >
      <span>
        {parts ? (
          <Parts tokens={tokens} line={line} parts={parts} total={total} />
        ) : (
          rangeText(tokens, line).trim()
        )}
      </span>
      {writing && <i className="caret" />}
      {twins && <small className="twins"> also in {twins}</small>}
    </p>
  );
}, same);

function Parts({
  tokens,
  line,
  parts,
  total,
}: Required<Pick<Props, 'tokens' | 'line' | 'total'>> & { parts: readonly SharedPart[] }) {
  return parts
    .filter(({ start, end }) => start < line.end && end > line.start)
    .map((part) => {
      const start = Math.max(part.start, line.start);
      const text = rangeText(tokens, { start, end: Math.min(part.end, line.end) });
      const all = part.with.length === total - 1;
      return (
        <span key={part.start}>
          {start === line.start ? '' : text.slice(0, text.length - text.trimStart().length)}
          {part.left.length > 0 && start === part.start && <Parting part={part} />}
          <span className={all ? 'same-all' : part.with.length > 0 ? 'same-some' : ''}>
            {text.trimStart()}
          </span>
        </span>
      );
    });
}

/** The mark where other answers leave. */
function Parting({ part }: { part: SharedPart }) {
  const where = part.left
    .map(({ sample, text }) =>
      text.trim() ? `${sample + 1} with “${text.trim()}”` : `${sample + 1}, which ends`,
    )
    .join(', ');
  const sentence = `Token ${part.start + 1}. Here others go on: ${where}.`;
  return (
    <span className="fork-mark" title={sentence} data-testid="parting">
      <Icon name="fork" size={12} />
      <span className="hidden">{sentence}</span>
    </span>
  );
}

function same(a: Props, b: Props): boolean {
  return (
    a.answerKey === b.answerKey &&
    a.line.start === b.line.start &&
    a.line.end === b.line.end &&
    a.line.aha?.kind === b.line.aha?.kind &&
    a.line.aha?.label === b.line.aha?.label &&
    a.current === b.current &&
    a.writing === b.writing &&
    a.twins === b.twins &&
    // Where others leave may become known later than the line itself, so differences are drawn with every change.
    a.parts === undefined &&
    b.parts === undefined
  );
}
