import { Icon } from '../shared/icon';
import type { SampleState } from '../store/engine-state';
import { ahaIcon, ahaReason } from './trace-layout';
import { useActions } from './use-actions';

/** The sentences in which the model checks or corrects itself. A click goes there. */
export function AhaList({ sample }: { sample: SampleState | undefined }) {
  const { pin } = useActions();
  const sentences = sample?.trace?.sentences ?? [];
  const marked = sentences.flatMap((sentence) => (sentence.aha ? [{ ...sentence, aha: sentence.aha }] : []));
  const live = sample?.status === 'streaming';
  return (
    <section className="sec">
      <div className="row list-head">
        <h2 className="h">Aha moments</h2>
        {sentences.length > 0 && (
          <span className="t3 xs sp">
            {live ? `${marked.length} so far` : `${marked.length} in ${sentences.length} sentences`}
          </span>
        )}
      </div>
      {marked.length === 0 ? (
        <p className="t3 sm">
          Sentences in which the model checks or corrects itself. A rule on the text marks them.
        </p>
      ) : (
        <ul className="list">
          {marked.map(({ start, text, aha }) => (
            <li key={start}>
              <button
                type="button"
                className="list-row aha-row"
                title={ahaReason(aha)}
                onClick={() => pin(start)}
              >
                <span className="aha-mark">
                  <Icon name={ahaIcon(aha)} size={14} />
                </span>
                <span>{aha.kind === 'checks' ? 'checks itself' : 'corrects itself'}</span>
                <span className="t3 ell">
                  {start + 1}, {aha.kind === 'checks' ? text.trim() : aha.label}
                </span>
                <span className="aha-rule t3">by the rule “{aha.rule}”</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
