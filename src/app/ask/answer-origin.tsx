import { visibleToken } from '../shared/format';
import { Icon } from '../shared/icon';
import { type Shown, useEngine, useServices } from '../store/app-services';
import { useActions } from './use-actions';

/** Where the shown answer belongs: its group, or the answer that it left. With the way back there. */
export function AnswerOrigin({ shown: { answer, index } }: { shown: Shown }) {
  const { view } = useServices();
  const { fork, samples } = answer;
  if (samples.length > 1) {
    return (
      <nav className="row origin" aria-label="Group of this answer">
        <button
          type="button"
          className="btn q small"
          data-testid="back-to-group"
          onClick={() => view.setState({ alone: false })}
        >
          <Icon name="back" size={14} />
          All {samples.length} answers
        </button>
        <span className="t3 sm">
          Answer {index + 1} of {samples.length}
        </span>
      </nav>
    );
  }
  if (!fork) return null;
  return (
    <div className="row origin" data-testid="fork-origin">
      <span className="fork-glyph">
        <Icon name="fork" size={14} />
      </span>
      <span className="sm t2">
        Forked at token {fork.position + 1} from “{visibleToken(fork.from.trim() || fork.from)}”
      </span>
      <OriginLink fork={fork} />
    </div>
  );
}

function OriginLink({ fork }: { fork: NonNullable<Shown['answer']['fork']> }) {
  const { show } = useActions();
  const samples = useEngine((state) => state.answers.find(({ id }) => id === fork.answer)?.samples.length);
  // Only so many answers are kept.
  if (samples === undefined) return <span className="t3 sm">That answer is gone from the list.</span>;
  return (
    <button
      type="button"
      className="btn q small"
      onClick={() => show(fork.answer, samples > 1 ? fork.sample : undefined, fork.position)}
    >
      Show that answer
    </button>
  );
}
