import { useRef } from 'react';
import { formatProbability } from '../shared/format';
import { Icon } from '../shared/icon';
import { useInspectedIndex, useView } from '../store/app-services';
import { LETTERS } from '../store/draft';
import type { AnswerState } from '../store/engine-state';
import { answerText, chosenOption, isCorrect, letterProbabilities } from './answer-facts';
import { TokenRun } from './token-run';
import type { Range, TraceLayout } from './trace-layout';
import { useTokenClicks } from './use-token-clicks';

/** The answer: its letter as the largest glyph of the page, its option, and whether the label agrees. */
export function AnswerCard({ answer, layout }: { answer: AnswerState; layout: TraceLayout }) {
  const text = answerText(answer);
  if (text) return <Given answer={answer} layout={layout} text={text} />;
  if (answer.status === 'prefill' || answer.status === 'streaming') {
    return <div className="ans waiting">The answer appears here when the model closes its thought.</div>;
  }
  const cut = answer.status === 'failed' || answer.reason === 'stopped' || answer.reason === 'length';
  return <div className="ans waiting">{cut ? 'No answer yet.' : 'No answer found in the text.'}</div>;
}

function Given({ answer, layout, text }: { answer: AnswerState; layout: TraceLayout; text: string }) {
  const card = useRef<HTMLDivElement>(null);
  useTokenClicks(card);
  const pinned = useView((view) => view.pinned) ?? -1;
  const inspected = useInspectedIndex(answer);
  const option = chosenOption(answer);
  const correct = isCorrect(answer);
  const run = (range: Range) => (
    <TokenRun
      tokens={answer.tokens}
      range={range}
      shading="none"
      pinned={pinned}
      focusable={inspected >= range.start && inspected < range.end ? inspected : -1}
    />
  );
  const { answer: places } = layout;
  return (
    <div ref={card} className="ans" data-testid="answer">
      <div className="ans-given">
        {places && <div className="tag-line mono">{run(places.open)}</div>}
        <div className="ans-text">
          {option ? (
            <>
              <span className="letter">{option.letter}</span> <span className="option">{option.text}</span>
            </>
          ) : (
            <span className="free">{text}</span>
          )}
        </div>
        {places && (
          <div className="tag-line mono">
            {option && text !== option.letter
              ? run({ start: places.body.start, end: places.close.end })
              : run(places.close)}
          </div>
        )}
      </div>
      {option && <Letters answer={answer} layout={layout} chosen={option.letter} />}
      {correct !== undefined && (
        <span className={`chip ${correct ? 'pos' : 'neg'}`}>
          <Icon name={correct ? 'check' : 'x'} size={12} weight={1.8} />
          {correct ? 'matches label' : `label is ${answer.label}`}
        </span>
      )}
    </div>
  );
}

function Letters({ answer, layout, chosen }: { answer: AnswerState; layout: TraceLayout; chosen: string }) {
  const { options } = answer.question;
  const body = layout.answer?.body ?? { start: 0, end: answer.tokens.length };
  const probabilities = letterProbabilities(answer.tokens, body, chosen, options.length);
  if (!probabilities) return <span />;
  return (
    <ul className="letters" aria-label="Probability of each letter">
      {options.map((option, index) => {
        const letter = LETTERS[index]!;
        const prob = probabilities[index];
        return (
          <li key={letter} className={letter === chosen ? 'on' : ''}>
            <span>{letter}</span>
            <span className="ell letter-option" title={option}>
              {option}
            </span>
            <i aria-hidden="true">
              <b style={{ width: `${(prob ?? 0) * 100}%` }} />
            </i>
            <span title={prob === undefined ? 'Not among the most probable tokens' : undefined}>
              {prob === undefined ? '–' : formatProbability(prob)}
            </span>
          </li>
        );
      })}
    </ul>
  );
}
