import { memo } from 'react';
import { AdvantageBar } from '../shared/advantage-bar';
import { formatSigned, signTone } from '../shared/format';
import { Icon } from '../shared/icon';
import type { AnswerState, SampleState } from '../store/engine-state';
import { answerText, chosenOption, isCorrect } from './answer-facts';
import { EntropyCanvas, spokenEntropy } from './entropy-canvas';
import { adapterOf, endingChip, missingAnswer } from './group-facts';
import { GroupTrace } from './group-trace';
import { rewardParts } from './reward-facts';
import { useActions } from './use-actions';

const ENTROPY = { bars: 40, numbers: 0 };

interface Props {
  answer: AnswerState;
  index: number;
  focused: boolean;
  /** The best reward of the group is this one's. */
  highest: boolean;
  /** Shown as what tells it from the others. */
  differences: boolean;
  /** The pinned token, where this answer has the focus; else -1. */
  current: number;
}

/** One answer of a group: its thought, entropy, answer, and where the right one is known its reward. */
export const GroupColumn = memo(
  function GroupColumn({ answer, index, focused, highest, differences, current }: Props) {
    const sample = answer.samples[index]!;
    return (
      <li
        className={`gc ${highest ? 'best' : ''} ${focused ? 'focused' : ''}`}
        data-testid="group-answer"
        data-sample={index}
      >
        <ColumnHead answer={answer} sample={sample} index={index} focused={focused} />
        <GroupTrace answer={answer} index={index} differences={differences} current={current} />
        <div className="gc-entropy">
          <span className="xs t3" aria-hidden="true">
            entropy
          </span>
          <EntropyCanvas
            sample={sample}
            size={ENTROPY}
            label={`Answer ${index + 1}: ${spokenEntropy(sample, (text) => text.trim())}`}
          />
        </div>
        <ColumnAnswer answer={answer} sample={sample} />
        {answer.label !== undefined && (
          <Reward sample={sample} advantage={answer.group?.advantages?.[index]} highest={highest} />
        )}
      </li>
    );
  },
  // The differences depend on all answers; everything else on this one alone.
  (a, b) =>
    a.answer.id === b.answer.id &&
    a.answer.group === b.answer.group &&
    (a.answer.status === 'prefill') === (b.answer.status === 'prefill') &&
    a.answer.samples[a.index] === b.answer.samples[b.index] &&
    a.index === b.index &&
    a.focused === b.focused &&
    a.highest === b.highest &&
    a.current === b.current &&
    a.differences === b.differences &&
    (!b.differences || a.answer.samples === b.answer.samples),
);

function ColumnHead({
  answer,
  sample,
  index,
  focused,
}: {
  answer: AnswerState;
  sample: SampleState;
  index: number;
  focused: boolean;
}) {
  const { show } = useActions();
  const ahas = (sample.trace?.sentences ?? []).reduce((sum, sentence) => sum + (sentence.aha ? 1 : 0), 0);
  const chip = endingChip(sample);
  const name = adapterOf(answer, index);
  return (
    <button
      type="button"
      className="gc-head"
      title="Open this answer alone, with its tokens"
      aria-current={focused ? 'true' : undefined}
      onClick={() => show(answer.id, index)}
    >
      <b>
        <span className="hidden">Answer </span>
        {index + 1}
      </b>
      {name && <span className="med ell">{name}</span>}
      <span className="xs t3 ell">{sample.count === 1 ? '1 token' : `${sample.count} tokens`}</span>
      <span className="sp row gc-marks">
        {ahas > 0 && (
          <span className="aha-count" title="Sentences in which the model checks or corrects itself">
            <Icon name="loop" size={13} />
            {ahas}
            <span className="hidden"> aha moments</span>
          </span>
        )}
        {chip && <span className={`chip ${chip.tone}`}>{chip.text}</span>}
      </span>
    </button>
  );
}

function ColumnAnswer({ answer, sample }: { answer: AnswerState; sample: SampleState }) {
  const pair = { answer, sample };
  const option = chosenOption(pair);
  const correct = isCorrect(pair);
  const missing = missingAnswer(answer, sample);
  return (
    <div className="gc-answer">
      {option ? (
        <>
          <b>{option.letter}</b>
          <span className="ell" title={option.text}>
            {option.text}
          </span>
        </>
      ) : (
        <span className={missing ? 't3' : 'gc-free'}>{missing ?? answerText(pair)}</span>
      )}
      {correct !== undefined && (
        <span className={`sp ${correct ? 'pos' : 'neg'}`}>
          <Icon name={correct ? 'check' : 'x'} size={16} weight={1.8} />
          <span className="hidden">{correct ? 'matches the label' : 'differs from the label'}</span>
        </span>
      )}
    </div>
  );
}

function Reward({
  sample: { reward },
  advantage,
  highest,
}: {
  sample: SampleState;
  advantage: number | undefined;
  highest: boolean;
}) {
  return (
    <div className="gc-reward">
      <div className="gc-total">
        <span className="xs t3">{highest ? 'reward, highest' : 'reward'}</span>
        <b className={reward && signTone(reward.reward)} data-testid="reward">
          {reward ? formatSigned(reward.reward) : '–'}
        </b>
      </div>
      <dl className="gc-parts">
        {reward &&
          rewardParts(reward).map(({ name, value }) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
      <div className="gc-advantage">
        <span className="xs t3">advantage</span>
        <b className={`sm med ${advantage === undefined ? '' : signTone(advantage)}`} data-testid="advantage">
          {advantage === undefined ? '–' : formatSigned(advantage)}
        </b>
        <AdvantageBar value={advantage ?? 0} />
      </div>
    </div>
  );
}
