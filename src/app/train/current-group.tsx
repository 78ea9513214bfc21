import { useMemo } from 'react';
import { formatSigned } from '../shared/format';
import { Icon } from '../shared/icon';
import { GroupCard } from './group-card';
import { type ShownGroup, shownGroups } from './group-facts';
import { useLive, useRecord, useTrainServices, useTrainView } from './train-services';

/** The answers to the question that the step is at, side by side as they are written and scored. */
export function CurrentGroup() {
  const { trainView } = useTrainServices();
  const live = useLive();
  const completions = useRecord()?.completions;
  const full = useTrainView((view) => view.groupFull);
  const chosen = useTrainView((view) => view.question);
  const groups = useMemo(() => shownGroups(live, completions ?? []), [live, completions]);
  const newest = groups.findLastIndex(({ complete }) => !complete);
  const place = chosen === undefined ? -1 : groups.findIndex(({ question }) => question === chosen);
  const at = place >= 0 ? place : newest >= 0 ? newest : groups.length - 1;
  const group = groups[at];
  const show = (index: number) =>
    trainView.setState({ question: index === groups.length - 1 ? undefined : groups[index]?.question });
  return (
    <section className="tg" aria-label="Current group" data-testid="train-group">
      <div className="tg-head">
        <h2 className="h">{group?.live === false ? 'Last group' : 'Current group'}</h2>
        {group ? (
          <span className="t2 sm ell" title={group.text}>
            {group.text} <span className="t3">label {group.label}</span>
          </span>
        ) : (
          <span className="t3 sm">The answers to a question, once there are some.</span>
        )}
        <span className="sp row tg-tools">
          {group && <span className="t3 xs">{groupWords(group)}</span>}
          {groups.length > 1 && (
            <span className="row tg-steps">
              <button
                type="button"
                className="ib small"
                aria-label="Question before"
                disabled={at <= 0}
                onClick={() => show(at - 1)}
              >
                <Icon name="left" size={14} />
              </button>
              <span className="xs t3">
                {at + 1} of {groups.length}
              </span>
              <button
                type="button"
                className="ib small"
                aria-label="Next question"
                disabled={at >= groups.length - 1}
                onClick={() => show(at + 1)}
              >
                <Icon name="right" size={14} />
              </button>
            </span>
          )}
          <button
            type="button"
            className="ib small"
            aria-pressed={full}
            aria-label={full ? 'Show the curves again' : 'The group on the whole page'}
            title={full ? 'Show the curves again (G)' : 'The group on the whole page (G)'}
            disabled={!group}
            onClick={() => trainView.setState({ groupFull: !full })}
          >
            <Icon name="full" size={14} />
          </button>
        </span>
      </div>
      {group && (
        <ol className="tg-cards">
          {group.cards.map((card) => (
            <GroupCard key={card.sample} card={card} live={group.live} />
          ))}
        </ol>
      )}
    </section>
  );
}

/** "5 of 8 finished, mean +0.72, advantages provisional", until the trainer has scored all. */
function groupWords({ cards, mean, complete }: ShownGroup): string {
  const words = mean === undefined ? '' : `, mean ${formatSigned(mean)}`;
  if (complete) return `${cards.length} answers${words}`;
  const ended = cards.filter(({ status }) => status === 'ended' || status === 'scored').length;
  return `${ended} of ${cards.length} finished${words}${words && ', advantages provisional'}`;
}
