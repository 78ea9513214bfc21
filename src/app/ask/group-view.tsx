import { type CSSProperties, useMemo } from 'react';
import { useView } from '../store/app-services';
import type { AnswerState } from '../store/engine-state';
import { BranchLines } from './branch-lines';
import { EngineErrors } from './engine-errors';
import { GroupColumn } from './group-column';
import { groupFacts, groupOrder } from './group-facts';
import { GroupHead } from './group-head';
import { GroupSummary } from './group-summary';

/** The answers to one question, side by side under what they share. */
export function GroupView({ answer, focused }: { answer: AnswerState; focused: number }) {
  const layout = useView((view) => view.groupLayout);
  const sorted = useView((view) => view.groupSorted);
  const pinned = useView((view) => view.pinned) ?? -1;
  // While tokens arrive, nothing that is counted changes: the list of what has ended does.
  const ended = answer.samples.map(({ status, reward }) => `${status === 'done'} ${reward?.reward}`).join();
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above
  const facts = useMemo(() => groupFacts(answer), [answer.id, ended]);
  const order = groupOrder(answer, sorted);
  const highest = facts.rewards?.highest;
  const total = answer.samples.length;
  return (
    <section className={`group ${layout}`} id="answer" aria-label={`${total} answers`} data-testid="group">
      <GroupHead answer={answer} />
      <EngineErrors scopes={['gpu', 'model', 'ask']} />
      <div className="group-scroll">
        <div className="group-wide" style={{ '--answers': total } as CSSProperties}>
          {layout !== 'rows' && <BranchLines count={total} />}
          <ol className="group-answers" aria-label="Answers">
            {order.map((index) => (
              <GroupColumn
                key={index}
                answer={answer}
                index={index}
                focused={index === focused}
                highest={highest !== undefined && answer.samples[index]!.reward?.reward === highest}
                differences={layout === 'differences'}
                current={index === focused ? pinned : -1}
              />
            ))}
          </ol>
        </div>
      </div>
      <GroupSummary answer={answer} facts={facts} />
    </section>
  );
}
