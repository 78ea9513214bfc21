import type { ReactNode } from 'react';
import { formatSigned, signTone } from '../shared/format';
import { useView } from '../store/app-services';
import type { AnswerState } from '../store/engine-state';
import type { GroupFacts } from './group-facts';

/** What a group comes to: how many are right, what most say, the rewards, the speed, and the votes. */
export function GroupSummary({ answer, facts }: { answer: AnswerState; facts: GroupFacts }) {
  const { group, samples, status } = answer;
  const { right, majority, rewards, ended } = facts;
  const layout = useView((view) => view.groupLayout);
  const total = samples.length;
  const tokens = samples.reduce((sum, { count }) => sum + count, 0);
  return (
    <footer className="group-summary">
      <dl>
        {right === undefined ? (
          <Fact name="have ended">
            {ended} of {total}
          </Fact>
        ) : (
          <Fact name="match the label">
            {right} of {total}
          </Fact>
        )}
        {answer.question.options.length > 0 && (
          <Fact name="majority answer">{majority ? `${majority.letter}, ${majority.text}` : '–'}</Fact>
        )}
        {rewards && (
          <>
            <Fact name="mean reward" tone={signTone(rewards.mean)}>
              {formatSigned(rewards.mean)}
            </Fact>
            <Fact name="reward spread (std)">{rewards.std?.toFixed(2) ?? '–'}</Fact>
          </>
        )}
        {group ? (
          <Fact name={`all ${total} together`} unit="tok/s">
            {group.tokensPerSecond.toFixed(group.tokensPerSecond < 10 ? 1 : 0)}
          </Fact>
        ) : (
          <Fact name={status === 'failed' ? 'tokens' : 'tokens so far'}>{tokens}</Fact>
        )}
      </dl>
      <p className="xs t3">
        {layout === 'differences' ? (
          'Dimmed: begins like other answers. The branch sign marks where others go on otherwise, “also in” names those with the same sentence.'
        ) : answer.label === undefined ? (
          'Mark the right option before you ask, and every answer gets its reward.'
        ) : (
          <>
            Advantage = (reward − group mean) ÷ spread.
            <br />
            Training pushes answers right of the centre line up, left of it down.
          </>
        )}
      </p>
      <Votes facts={facts} />
      <p className="hidden" role="status">
        {ended} of {total} answers have ended.
      </p>
    </footer>
  );
}

function Fact({
  name,
  unit,
  tone = '',
  children,
}: {
  name: string;
  unit?: string;
  tone?: string;
  children: ReactNode;
}) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className={tone}>
        {children}
        {unit && <small> {unit}</small>}
      </dd>
    </div>
  );
}

function Votes({ facts: { votes, majority } }: { facts: GroupFacts }) {
  if (votes.length === 0) return null;
  const most = Math.max(1, ...votes.map(({ count }) => count));
  return (
    <ul className="votes" aria-label="Answers by letter">
      {votes.map(({ letter, count }) => (
        <li key={letter} className={letter === majority?.letter ? 'on' : ''} title={`${letter}: ${count}`}>
          <i style={{ height: Math.max((count / most) * 30, 1.5) }} aria-hidden="true" />
          <span>{letter}</span>
          <span className="hidden">: {count}</span>
        </li>
      ))}
    </ul>
  );
}
