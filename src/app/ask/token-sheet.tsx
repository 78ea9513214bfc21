import { formatProbability, tokenName, visibleToken } from '../shared/format';
import { Icon } from '../shared/icon';
import { useMediaQuery } from '../shared/use-media-query';
import { useServices, useShown, useView } from '../store/app-services';
import { ForkButton } from './alternatives';
import { forkAlternative } from './fork-facts';
import { useActions } from './use-actions';

/** The token inspector of a phone: a sheet at the bottom, for a token that was touched. */
export function TokenSheet() {
  const narrow = useMediaQuery('(max-width: 759px)');
  const { view } = useServices();
  const shown = useShown();
  const sample = shown?.sample;
  const picked = useView((state) => state.alternative);
  const pinned = useView((view) => view.pinned);
  const { pin } = useActions();
  const token = pinned === undefined ? undefined : sample?.tokens[pinned];
  if (!narrow || !shown || !sample || !token || pinned === undefined) return null;
  const chosen = forkAlternative(token, picked);
  return (
    <aside className="sheet" aria-label="Token">
      <div className="row sheet-head">
        <span className="sheet-token">{visibleToken(tokenName(token))}</span>
        <span className="sm">
          <b>{formatProbability(token.prob)}</b> <span className="t3">probability</span>
        </span>
        <span className="sm">
          <b>{token.entropy.toFixed(2)}</b> <span className="t3">nats</span>
        </span>
        <span className="sp t3 sm">
          {pinned + 1} of {sample.count}
        </span>
        <button type="button" className="ib" aria-label="Close" onClick={() => pin(undefined)}>
          <Icon name="x" />
        </button>
      </div>
      <ol className="sheet-alternatives">
        {token.alternatives.slice(0, 4).map((row) => (
          <li key={row.id}>
            <button
              type="button"
              className={row.id === token.id ? 'on' : ''}
              aria-pressed={row.id === chosen?.id}
              disabled={row.id === token.id}
              onClick={() => view.setState({ alternative: row.id })}
            >
              {visibleToken(row.text.trim() || row.text)}
              <small>{formatProbability(row.prob)}</small>
            </button>
          </li>
        ))}
      </ol>
      <ForkButton shown={shown} index={pinned} />
    </aside>
  );
}
