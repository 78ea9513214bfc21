import { Fragment } from 'react';
import type { SamplingSettings } from '../../worker/protocol';
import { formatProbability, visibleToken } from '../shared/format';
import { Icon } from '../shared/icon';
import { type Shown, useEngine, useServices, useView } from '../store/app-services';
import { forkAlternative, forkBlocker } from './fork-facts';
import { useActions } from './use-actions';

/**
 * The tokens that this one was drawn from, best first, with the line below which none could be drawn. One of them can
 * be chosen, to continue the answer from it instead.
 */
export function Alternatives({ shown, index }: { shown: Shown; index: number }) {
  const { view } = useServices();
  const { settings } = shown.answer;
  const token = shown.sample.tokens[index]!;
  const picked = useView((state) => state.alternative);
  const chosen = forkAlternative(token, picked);
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
        {rows.map((row, place) => {
          const drawn = row.id === token.id;
          const cells = (
            <>
              <span>{drawn && <Icon name="check" size={12} weight={1.8} />}</span>
              <span className="ell">
                {visibleToken(row.text)}
                {drawn && <span className="hidden"> (drawn)</span>}
                {!row.kept && <span className="hidden"> (cut off, could not be drawn)</span>}
              </span>
              <i aria-hidden="true">
                <b style={{ width: `${Math.max((row.prob / scale) * 100, 1)}%` }} />
              </i>
              <span>{formatProbability(row.prob)}</span>
            </>
          );
          return (
            <Fragment key={row.id}>
              {place === cut && cut > 0 && <li className="cut-line">{cutName(settings, cut)}</li>}
              <li className={`${drawn ? 's' : ''} ${row.kept ? '' : 'cut'}`}>
                {drawn ? (
                  <div className="alt">{cells}</div>
                ) : (
                  <button
                    type="button"
                    className="alt"
                    aria-pressed={row.id === chosen?.id}
                    title="Choose it, to continue the answer from it"
                    onClick={() => view.setState({ pinned: index, alternative: row.id })}
                  >
                    {cells}
                  </button>
                )}
              </li>
            </Fragment>
          );
        })}
      </ol>
      <ForkButton shown={shown} index={index} />
    </section>
  );
}

/** "Continue from “So” instead", or why that cannot be done now. */
export function ForkButton({ shown, index }: { shown: Shown; index: number }) {
  const { fork } = useActions();
  const picked = useView((state) => state.alternative);
  const blocker = useEngine((state) => forkBlocker(state, shown));
  const alternative = forkAlternative(shown.sample.tokens[index]!, picked);
  if (!alternative) return null;
  return (
    <div className="fork-button">
      <button
        type="button"
        className="btn wide"
        data-testid="fork"
        disabled={blocker !== undefined}
        aria-describedby={blocker ? 'fork-blocker' : undefined}
        onClick={fork}
      >
        <Icon name="fork" size={14} />
        <span className="ell">
          Continue from “{visibleToken(alternative.text.trim() || alternative.text)}” instead
        </span>
      </button>
      {blocker && (
        <p id="fork-blocker" className="t3 xs">
          {blocker}
        </p>
      )}
    </div>
  );
}

function cutName({ temperature, top_k, top_p }: SamplingSettings, cut: number): string {
  if (temperature === 0) return 'greedy';
  if (top_k > 0 && cut >= top_k) return `top-k ${top_k}`;
  return `top-p ${top_p}`;
}
