import { Fragment } from 'react';
import type { SamplingSettings, TokenInfo } from '../../worker/protocol';
import { formatProbability, visibleToken } from '../shared/format';
import { Icon } from '../shared/icon';

/** The tokens that this one was drawn from, best first, with the line below which none could be drawn. */
export function Alternatives({ token, settings }: { token: TokenInfo; settings: SamplingSettings }) {
  const listed = token.alternatives.some((alternative) => alternative.id === token.id);
  const rows = listed
    ? token.alternatives
    : [...token.alternatives, { id: token.id, text: token.text, prob: token.prob, kept: true }];
  const scale = Math.max(...rows.map((row) => row.prob), Number.MIN_VALUE);
  const cut = rows.findIndex((row) => !row.kept);
  return (
    <section className="sec inspector-part">
      <div className="row alternatives-head">
        <h2 className="h">Alternatives</h2>
        <span className="t3 xs sp">
          {settings.temperature === 0 ? 'greedy' : `temperature ${settings.temperature}`}
        </span>
      </div>
      <ol className="alternatives">
        {rows.map((row, index) => {
          const chosen = row.id === token.id;
          return (
            <Fragment key={row.id}>
              {index === cut && cut > 0 && <li className="cut-line">{cutName(settings, cut)}</li>}
              <li className={`alt ${chosen ? 's' : ''} ${row.kept ? '' : 'cut'}`}>
                <span>{chosen && <Icon name="check" size={12} weight={1.8} />}</span>
                <span className="ell">
                  {visibleToken(row.text)}
                  {chosen && <span className="hidden"> (drawn)</span>}
                </span>
                <i aria-hidden="true">
                  <b style={{ width: `${Math.max((row.prob / scale) * 100, 1)}%` }} />
                </i>
                <span>{formatProbability(row.prob)}</span>
              </li>
            </Fragment>
          );
        })}
      </ol>
    </section>
  );
}

function cutName({ temperature, top_k, top_p }: SamplingSettings, cut: number): string {
  if (temperature === 0) return 'greedy';
  if (top_k > 0 && cut >= top_k) return `top-k ${top_k}`;
  return `top-p ${top_p}`;
}
