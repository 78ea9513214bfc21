import { memo } from 'react';
import { Icon } from '../shared/icon';
import { useEngine } from '../store/app-services';
import type { AnswerState } from '../store/engine-state';
import { answerText, chosenOption, isCorrect } from './answer-facts';
import { useActions } from './use-actions';

/** The questions of this session, newest first. A click shows the answer again. */
export function SessionList({ shown }: { shown: number | undefined }) {
  const answers = useEngine((state) => state.answers);
  return (
    <section className="sec last">
      <h2 className="h list-head">This session</h2>
      {answers.length === 0 && <p className="t3 sm">No questions yet.</p>}
      <ul className="list">
        {answers.toReversed().map((answer) => (
          <Row key={answer.id} answer={answer} current={answer.id === shown} />
        ))}
      </ul>
    </section>
  );
}

const Row = memo(function Row({ answer, current }: { answer: AnswerState; current: boolean }) {
  const { show } = useActions();
  return (
    <li>
      <button
        type="button"
        className="list-row"
        aria-current={current ? 'true' : undefined}
        title={`${answer.question.text} (${answer.videoName})`}
        onClick={() => show(answer.id)}
      >
        <Outcome answer={answer} />
        <span className="ell t2">
          {answer.fork && (
            <span className="fork-glyph" title={`Forked at token ${answer.fork.position + 1}`}>
              <Icon name="fork" size={12} />
              <span className="hidden">Forked: </span>
            </span>
          )}
          {answer.question.text}
        </span>
        <span className="mono">{shortAnswer(answer)}</span>
      </button>
    </li>
  );
});

function Outcome({ answer }: { answer: AnswerState }) {
  if (answer.samples.length > 1) return <span className="t3 mono xs">×{answer.samples.length}</span>;
  const correct = isCorrect({ answer, sample: answer.samples[0]! });
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
  const pairs = answer.samples.map((sample) => ({ answer, sample }));
  if (pairs.length > 1) {
    if (answer.label !== undefined) return `${pairs.filter(isCorrect).length} right`;
    return `${pairs.filter(answerText).length} answers`;
  }
  const option = chosenOption(pairs[0]!);
  if (option) return option.letter;
  return answerText(pairs[0]!) ? '¶' : '–';
}
