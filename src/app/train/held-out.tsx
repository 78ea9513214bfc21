import type { EvalLine } from '../../worker/training-protocol';
import { type ComparedEvals, ShareChart, type ShareCurve } from './held-out-chart';
import { evalsByTime, nextEval, percent } from './run-facts';
import { useCompared, useRecord } from './train-services';

const ACCURACY: readonly ShareCurve[] = [
  { value: (line) => line.accuracy_sampled, className: 'held-line', points: true },
  { value: (line) => line.self_check_rate, className: 'held-aha' },
];
const CHECKED: readonly ShareCurve[] = [
  { value: (line) => line.checked_right_before, className: 'held-before', label: 'before' },
  { value: (line) => line.checked_right_after, className: 'held-aha', label: 'after' },
];

/** Accuracy on questions that are never trained on, before, during and after, and what checking itself did there. */
export function HeldOut() {
  const record = useRecord();
  const compared = useCompared();
  if (!record) return null;
  const { evals, config, run } = record;
  const { before, during, after } = evalsByTime(evals, run.state === 'done' || run.state === 'stopped');
  const next = nextEval(run.step, config.eval_steps, run.max_steps);
  const last = evals.at(-1);
  return (
    <div className="sec held-out" data-testid="held-out">
      <div className="row">
        <h2 className="h">Held-out accuracy</h2>
        <span className="sp xs t3">
          {config.eval_questions === 0 ? 'off' : `${last?.questions ?? config.eval_questions} questions`}
        </span>
      </div>
      <dl className="held-numbers">
        <Share name="before" line={before} />
        <Share name={during ? `step ${during.step}` : 'during'} line={during} />
        <Share name={after ? `after, step ${after.step}` : 'after'} line={after} />
      </dl>
      {evals.length > 0 && (
        <Accuracy
          evals={evals}
          max_steps={run.max_steps}
          compared={compared.map(({ run: { run, name }, evals }) => ({ run, name, evals }))}
        />
      )}
      <p className="xs t3">
        Sampled answers; bars show the 95% interval.
        {next === undefined ? '' : ` Next check at step ${next}.`}
      </p>
      {last && <SelfChecks evals={evals} last={last} max_steps={run.max_steps} />}
    </div>
  );
}

function Share({ name, line }: { name: string; line: EvalLine | undefined }) {
  return (
    <div>
      <dt className="xs t3">{name}</dt>
      <dd className={line ? '' : 'none'} title={line && `greedy ${percent(line.accuracy_greedy)}`}>
        {line ? percent(line.accuracy_sampled) : 'not run'}
      </dd>
    </div>
  );
}

/** How often held-out answers check themselves, and whether that helps them. */
function SelfChecks({
  evals,
  last,
  max_steps,
}: {
  evals: readonly EvalLine[];
  last: EvalLine;
  max_steps: number;
}) {
  const first = evals[0]!;
  const { checked_right_before: before, checked_right_after: after, self_check_rate: rate } = last;
  const judged = evals.filter((line) => line.checked_right_after !== undefined);
  return (
    <>
      <dl className="self-checks">
        <div>
          <dt>
            <mark className="aha-text">check themselves</mark>
          </dt>
          <dd>
            {first === last ? '' : `${percent(first.self_check_rate)} → `}
            <b>{percent(rate)}</b>
          </dd>
        </div>
        {before !== undefined && after !== undefined && (
          <div>
            <dt>of these right, before → after</dt>
            <dd>
              {percent(before)} → <b>{percent(after)}</b>
            </dd>
          </div>
        )}
        <div>
          <dt>in the format</dt>
          <dd>{percent(last.format_rate)}</dd>
        </div>
        <div>
          <dt>greedy accuracy</dt>
          <dd>{percent(last.accuracy_greedy)}</dd>
        </div>
      </dl>
      {judged.length > 1 && (
        <>
          <p className="xs t3">Of answers that check themselves: right before the check, and after it.</p>
          <ShareChart
            evals={evals}
            max_steps={max_steps}
            curves={CHECKED}
            height={96}
            spoken={`Answers that check themselves, right before and after the check, by step. ${judged
              .map(
                (line) =>
                  `step ${line.step}: ${percent(line.checked_right_before!)}, then ${percent(line.checked_right_after!)}`,
              )
              .join('; ')}.`}
          />
        </>
      )}
    </>
  );
}

function Accuracy({
  evals,
  max_steps,
  compared,
}: {
  evals: readonly EvalLine[];
  max_steps: number;
  compared: readonly ComparedEvals[];
}) {
  const chance = evals.at(-1)?.chance;
  const spoken = evals
    .map(
      (line) =>
        `step ${line.step}: ${percent(line.accuracy_sampled)}, checks itself ${percent(line.self_check_rate)}`,
    )
    .join('; ');
  return (
    <ShareChart
      evals={evals}
      max_steps={max_steps}
      curves={ACCURACY}
      height={150}
      spoken={`Held-out accuracy by step. ${spoken}.${chance === undefined ? '' : ` Chance is ${percent(chance)}.`}`}
      compared={compared}
      {...(chance === undefined ? {} : { chance: { share: chance, label: `chance, ${percent(chance)}` } })}
    />
  );
}
