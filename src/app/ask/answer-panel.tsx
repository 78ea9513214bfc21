import { useMemo } from 'react';
import { ExportButton } from '../export/export-button';
import { Icon } from '../shared/icon';
import { Segmented } from '../shared/segmented';
import { isGroupShown, type Shown, useServices, useShown, useView } from '../store/app-services';
import { AnswerCard } from './answer-card';
import { answerHeading, traceProblems } from './answer-facts';
import { AnswerOrigin } from './answer-origin';
import { AnswerStatsRow } from './answer-stats';
import { EmptyAnswer } from './empty-answer';
import { EngineErrors } from './engine-errors';
import { EntropyStrip } from './entropy-strip';
import { FollowingScroll } from './following-scroll';
import { GroupView } from './group-view';
import { StageBar } from './stage-bar';
import { layoutTrace } from './trace-layout';
import { TraceView } from './trace-view';

/** The middle column: heading, numbers, trace, answer, entropy. */
export function AnswerPanel() {
  const shown = useShown();
  const alone = useView((view) => view.alone);
  if (shown && isGroupShown(shown, { alone }))
    return <GroupView answer={shown.answer} focused={shown.index} />;
  return (
    <section className="col mid" id="answer" aria-label="Answer">
      {shown ? <Answer shown={shown} /> : <EmptyAnswer />}
    </section>
  );
}

function Answer({ shown }: { shown: Shown }) {
  const { answer, sample, index } = shown;
  const layout = useMemo(() => layoutTrace(sample), [sample]);
  const problems = traceProblems(shown);
  return (
    <>
      <div className="answer-head">
        <AnswerOrigin shown={shown} />
        <Heading shown={shown} />
        <AnswerStatsRow {...shown} />
        <StageBar {...shown} />
      </div>
      <FollowingScroll
        count={sample.count}
        live={sample.status === 'streaming'}
        resetKey={`${answer.id} ${index}`}
      >
        <TraceView shown={shown} layout={layout} />
        <AnswerCard shown={shown} layout={layout} />
        {problems.length > 0 && (
          <ul className="problems" aria-label="What is malformed">
            {problems.map((problem) => (
              <li key={problem}>
                <Icon name="info" size={14} /> {problem}
              </li>
            ))}
          </ul>
        )}
        <EngineErrors scopes={['gpu', 'model', 'ask']} />
      </FollowingScroll>
      <EntropyStrip sample={sample} />
    </>
  );
}

function Heading({ shown }: { shown: Shown }) {
  const { view } = useServices();
  const shading = useView((state) => state.shading);
  const { title, chip } = answerHeading(shown);
  return (
    <div className="mh">
      <h2 className="title">{title}</h2>
      {chip && (
        <span className={`chip ${chip.tone}`}>
          {chip.tone === 'ok' && <i className="dot" />}
          {chip.text}
        </span>
      )}
      <span className="sp row shade">
        <span className="t3 sm" aria-hidden="true">
          Shade tokens by
        </span>
        <Segmented
          label="Shade tokens by"
          value={shading}
          options={[
            { value: 'none', label: 'none' },
            { value: 'entropy', label: 'entropy', title: 'Two weights: above 0.3 and above 1 nat' },
            { value: 'probability', label: 'probability', title: 'Two weights: below 0.5 and below 0.2' },
          ]}
          onChange={(value) => view.setState({ shading: value })}
        />
        <ExportButton />
        <button
          type="button"
          className="ib drawer-toggle"
          aria-label="Tokens, aha moments and session"
          onClick={() => view.setState((state) => ({ drawerOpen: !state.drawerOpen }))}
        >
          <Icon name="panel" />
        </button>
      </span>
    </div>
  );
}
