import { formatProbability, tokenName, visibleToken } from '../shared/format';
import { Icon } from '../shared/icon';
import { type Shown, useInspectedIndex, useView } from '../store/app-services';
import { Alternatives } from './alternatives';
import { ahaIcon, ahaReason } from './trace-layout';
import { useActions } from './use-actions';

/** One token: how probable it was, and what else it could have been. Follows the newest until one is pinned. */
export function TokenInspector({ shown }: { shown: Shown | undefined }) {
  const index = useInspectedIndex(shown?.sample);
  const pinned = useView((view) => view.pinned) !== undefined;
  const { pin } = useActions();
  const token = shown?.sample.tokens[index];
  if (!shown || !token) {
    return (
      <section className="sec inspector inspector-part">
        <h2 className="h">Token</h2>
        <p className="t3 sm">Pick a token of the answer to see what else it could have been.</p>
      </section>
    );
  }
  const { answer, sample } = shown;
  const { count } = sample;
  const live = sample.status === 'streaming';
  const fork = answer.fork;
  const aha = sample.trace?.sentences.find((s) => s.aha && index >= s.start && index < s.end)?.aha;
  return (
    <>
      <section className="sec inspector inspector-part" data-testid="inspector">
        <div className="row inspector-head">
          <h2 className="h">{pinned || !live ? `Token ${index + 1} of ${count}` : 'Newest token'}</h2>
          <span className="sp row steps-through">
            {live && !pinned && (
              <span className="chip ok">
                <i className="dot" />
                following
              </span>
            )}
            {live && pinned && (
              <button type="button" className="btn q small" onClick={() => pin(undefined)}>
                Follow newest
              </button>
            )}
            <button
              type="button"
              className="ib small"
              aria-label="Token before"
              disabled={index === 0}
              onClick={() => pin(index - 1)}
            >
              <Icon name="left" />
            </button>
            <button
              type="button"
              className="ib small"
              aria-label="Next token"
              disabled={index >= count - 1}
              onClick={() => pin(index + 1)}
            >
              <Icon name="right" />
            </button>
          </span>
        </div>
        <div className="row token-name">
          <span className="token-text">{visibleToken(tokenName(token))}</span>
          {aha && (
            <span className="chip aha sp" title={ahaReason(aha)}>
              <Icon name={ahaIcon(aha)} size={12} />
              {aha.label}
            </span>
          )}
        </div>
        {fork?.position === index && (
          <p className="t3 sm">
            Put here instead of “{visibleToken(fork.from)}”: the answer goes on from it.
          </p>
        )}
        <dl className="k3">
          <div>
            <dt>probability</dt>
            <dd>{formatProbability(token.prob)}</dd>
          </div>
          <div>
            <dt>rank</dt>
            <dd>{token.rank}</dd>
          </div>
          <div>
            <dt>entropy, nats</dt>
            <dd>{token.entropy.toFixed(2)}</dd>
          </div>
        </dl>
      </section>
      <Alternatives shown={shown} index={index} />
    </>
  );
}
