import { Fragment, memo } from 'react';
import type { TokenInfo } from '../../worker/protocol';
import { Icon } from '../shared/icon';
import type { Shading } from '../store/view';
import type { Range } from './trace-layout';

/** Tokens drawn by one component. A longer run is several, so that a token that is added draws few others again. */
const CHUNK = 32;

interface Look {
  shading: Shading;
  /** Index of the pinned token; -1 for none. */
  pinned: number;
  /** Index of the one token that Tab reaches; -1 for none in this run. */
  focusable: number;
  /** Index of the token at which this answer left another one; -1 for none. The tokens before it are shared. */
  fork: number;
}

/** Tokens as text, each with its index in `data-token`. Spaces before a token stay outside of its mark. */
export function TokenRun({
  answerKey,
  tokens,
  range,
  ...look
}: Look & {
  /** Of which answer the tokens are: those of one answer never change once they are there. */
  answerKey: string;
  tokens: readonly TokenInfo[];
  range: Range;
}) {
  const chunks = Math.ceil((range.end - range.start) / CHUNK);
  return Array.from({ length: chunks }, (_, chunk) => {
    const start = range.start + chunk * CHUNK;
    const end = Math.min(start + CHUNK, range.end);
    const within = (index: number) => (index >= start && index < end ? index : -1);
    return (
      <Chunk
        key={start}
        answerKey={answerKey}
        tokens={tokens}
        start={start}
        end={end}
        first={chunk === 0}
        shading={look.shading}
        pinned={within(look.pinned)}
        focusable={within(look.focusable)}
        fork={look.fork < start ? -1 : Math.min(look.fork, end)}
      />
    );
  });
}

const Chunk = memo(function Chunk({
  tokens,
  start,
  end,
  first,
  shading,
  pinned,
  focusable,
  fork,
}: Look & Range & { answerKey: string; tokens: readonly TokenInfo[]; first: boolean }) {
  return Array.from({ length: end - start }, (_, offset) => {
    const index = start + offset;
    const token = tokens[index]!;
    // A token without text of its own continues a character: nothing to see or to click.
    if (token.text === '') return null;
    const body = token.text.trimStart();
    const lead = token.text.slice(0, token.text.length - body.length);
    const marks = [shade(token, shading), index === pinned ? 'sel' : '', index < fork ? 'shared' : ''];
    return (
      <Fragment key={index}>
        {first && offset === 0 ? '' : lead}
        {index === fork && (
          <span className="fork-mark" title="The answer goes on from another token here">
            <Icon name="fork" size={13} />
          </span>
        )}
        <span
          className={['tk', ...marks].filter(Boolean).join(' ')}
          data-token={index}
          tabIndex={index === focusable ? 0 : -1}
        >
          {body}
        </span>
      </Fragment>
    );
  });
});

function shade(token: TokenInfo, shading: Shading): string {
  if (shading === 'entropy') return token.entropy > 1 ? 'sh2' : token.entropy > 0.3 ? 'sh1' : '';
  if (shading === 'probability') return token.prob < 0.2 ? 'sh2' : token.prob < 0.5 ? 'sh1' : '';
  return '';
}
