import { useRef } from 'react';
import { formatProbability, formatSigned, signTone } from '../shared/format';
import { Icon } from '../shared/icon';
import { type Shown, useInspectedIndex, useView } from '../store/app-services';
import { LETTERS } from '../store/draft';
import {
  answerText,
  chosenOption,
  isCorrect,
  type LetterProbability,
  letterProbabilities,
} from './answer-facts';
import { describeReward } from './reward-facts';
import { TokenRun } from './token-run';
import type { Range, TraceLayout } from './trace-layout';
import { useTokenClicks } from './use-token-clicks';

/** The answer: its letter as the largest glyph of the page, its option, and whether the label agrees. */
export function AnswerCard({ shown, layout }: { shown: Shown; layout: TraceLayout }) {
  const { sample } = shown;
  const text = answerText(shown);
  if (text) return <Given shown={shown} layout={layout} text={text} />;
  if (sample.status === 'prefill' || sample.status === 'streaming') {
    return <div className="ans waiting">The answer appears here when the model closes its thought.</div>;
  }
  const cut = sample.status === 'failed' || sample.reason === 'stopped' || sample.reason === 'length';
  return <div className="ans waiting">{cut ? 'No answer yet.' : 'No answer found in the text.'}</div>;
}

function Given({ shown, layout, text }: { shown: Shown; layout: TraceLayout; text: string }) {
  const { answer, sample, index } = shown;
  const card = useRef<HTMLDivElement>(null);
  useTokenClicks(card);
  const pinned = useView((view) => view.pinned) ?? -1;
  const inspected = useInspectedIndex(sample);
  const option = chosenOption(shown);
  const correct = isCorrect(shown);
  const run = (range: Range) => (
    <TokenRun
      answerKey={`${answer.id} ${index}`}
      tokens={sample.tokens}
      fork={answer.fork?.position ?? -1}
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
      {option && <Letters shown={shown} layout={layout} chosen={option.letter} />}
      {correct !== undefined && (
        <div className="verdict">
          <span className={`chip ${correct ? 'pos' : 'neg'}`}>
            <Icon name={correct ? 'check' : 'x'} size={12} weight={1.8} />
            {correct ? 'matches label' : `label is ${answer.label}`}
          </span>
          {sample.reward && (
            <span className="sm t3" title={describeReward(sample.reward)}>
              reward <b className={signTone(sample.reward.reward)}>{formatSigned(sample.reward.reward)}</b>
            </span>
          )}
        </div>
      )}
    </div>
  );
}

function Letters({ shown, layout, chosen }: { shown: Shown; layout: TraceLayout; chosen: string }) {
  const { answer, sample } = shown;
  const { options } = answer.question;
  const body = layout.answer?.body ?? { start: 0, end: sample.count };
  const probabilities = letterProbabilities(sample.tokens, body, chosen, options.length);
  if (!probabilities) return <span />;
  return (
    <ul className="letters" aria-label="Probability of each letter">
      {options.map((option, index) => {
        const letter = LETTERS[index]!;
        const probability = probabilities[index]!;
        return (
          <li key={letter} className={letter === chosen ? 'on' : ''}>
            <span>{letter}</span>
            <span className="ell letter-option" title={option}>
              {option}
            </span>
            <i aria-hidden="true">
              <b style={{ width: `${(probability.prob ?? 0) * 100}%` }} />
            </i>
            <span title={probability.prob === undefined ? NOT_LISTED : undefined}>
              {inWords(probability)}
            </span>
          </li>
        );
      })}
    </ul>
  );
}

const NOT_LISTED = 'Not among the recorded tokens, so less probable than each of them';

function inWords({ prob, below }: LetterProbability): string {
  if (prob !== undefined) return formatProbability(prob);
  if (below === undefined) return '–';
  return below < 0.01 ? '<0.01' : `below ${below.toFixed(2)}`;
}
