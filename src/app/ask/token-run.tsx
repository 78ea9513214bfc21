import { Fragment } from 'react';
import type { TokenInfo } from '../../worker/protocol';
import type { Shading } from '../store/view';
import type { Range } from './trace-layout';

/** Tokens as text, each with its index in `data-token`. Spaces before a token stay outside of its mark. */
export function TokenRun({
  tokens,
  range,
  shading,
  pinned,
  focusable,
}: {
  tokens: readonly TokenInfo[];
  range: Range;
  shading: Shading;
  /** Index of the pinned token; -1 for none. */
  pinned: number;
  /** Index of the one token that Tab reaches; -1 for none in this run. */
  focusable: number;
}) {
  return Array.from({ length: range.end - range.start }, (_, offset) => {
    const index = range.start + offset;
    const token = tokens[index]!;
    // A token without text of its own continues a character: nothing to see or to click.
    if (token.text === '') return null;
    const body = token.text.trimStart();
    const lead = token.text.slice(0, token.text.length - body.length);
    return (
      <Fragment key={index}>
        {offset > 0 ? lead : ''}
        <span
          className={`tk ${shade(token, shading)} ${index === pinned ? 'sel' : ''}`}
          data-token={index}
          tabIndex={index === focusable ? 0 : -1}
        >
          {body}
        </span>
      </Fragment>
    );
  });
}

function shade(token: TokenInfo, shading: Shading): string {
  if (shading === 'entropy') return token.entropy > 1 ? 'sh2' : token.entropy > 0.3 ? 'sh1' : '';
  if (shading === 'probability') return token.prob < 0.2 ? 'sh2' : token.prob < 0.5 ? 'sh1' : '';
  return '';
}
