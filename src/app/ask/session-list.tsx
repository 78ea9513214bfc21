import { Icon } from '../shared/icon';
import { useEngine, useServices } from '../store/app-services';
import type { AnswerState } from '../store/engine-state';
import { answerText, chosenOption, isCorrect } from './answer-facts';

/** The questions of this session, newest first. A click shows the answer again. */
export function SessionList({ shown }: { shown: number | undefined }) {
  const { view } = useServices();
  const answers = useEngine((state) => state.answers);
  return (
    <section className="sec last">
      <h2 className="h list-head">This session</h2>
      {answers.length === 0 && <p className="t3 sm">No questions yet.</p>}
      <ul className="list">
        {answers.toReversed().map((answer) => (
          <li key={answer.id}>
            <button
              type="button"
              className="list-row"
              aria-current={answer.id === shown ? 'true' : undefined}
              title={`${answer.question.text} (${answer.videoName})`}
              onClick={() => view.setState({ shownAnswer: answer.id, pinned: undefined })}
            >
              <Outcome answer={answer} />
              <span className="ell t2">{answer.question.text}</span>
              <span className="mono">{shortAnswer(answer)}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Outcome({ answer }: { answer: AnswerState }) {
  const correct = isCorrect(answer);
  if (correct === undefined) return <span />;
  return (
    <span className={correct ? 'pos' : 'neg'}>
      <Icon name={correct ? 'check' : 'x'} size={13} weight={1.8} />
      <span className="hidden">{correct ? 'matches the label' : 'differs from the label'}</span>
    </span>
  );
}

function shortAnswer(answer: AnswerState): string {
  if (answer.status === 'prefill' || answer.status === 'streaming') return '…';
  const option = chosenOption(answer);
  if (option) return option.letter;
  return answerText(answer) ? '¶' : '–';
}
