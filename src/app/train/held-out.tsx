import type { EvalLine } from '../../worker/training-protocol';
import { evalsByTime, interval95, nextEval } from './run-facts';
import { useRecord } from './train-services';

const WIDTH = 272;
const HEIGHT = 150;
const PAD = { left: 26, right: 8, top: 8, bottom: 16 };

const percent = (share: number) => `${Math.round(share * 100)}%`;

/** Accuracy on questions that are never trained on, before, during and after, and what checking itself did there. */
export function HeldOut() {
  const record = useRecord();
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
      {evals.length > 0 && <HeldOutChart evals={evals} max_steps={run.max_steps} />}
      <p className="xs t3">
        Sampled answers; bars show the 95% interval.
        {next === undefined ? '' : ` Next check at step ${next}.`}
      </p>
      {last && <SelfChecks evals={evals} last={last} />}
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
function SelfChecks({ evals, last }: { evals: readonly EvalLine[]; last: EvalLine }) {
  const first = evals[0]!;
  const { checked_right_before: before, checked_right_after: after, self_check_rate: rate } = last;
  return (
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
  );
}

function HeldOutChart({ evals, max_steps }: { evals: readonly EvalLine[]; max_steps: number }) {
  const last = Math.max(max_steps, evals.at(-1)!.step, 1);
  const x = (step: number) => PAD.left + (step / last) * (WIDTH - PAD.left - PAD.right);
  const y = (share: number) => PAD.top + (1 - share) * (HEIGHT - PAD.top - PAD.bottom);
  const right = WIDTH - PAD.right;
  const chance = 0.25;
  const path = (value: (line: EvalLine) => number) =>
    evals.map((line, place) => `${place ? 'L' : 'M'}${x(line.step)} ${y(value(line))}`).join('');
  const spoken = evals
    .map(
      (line) =>
        `step ${line.step}: ${percent(line.accuracy_sampled)}, checks itself ${percent(line.self_check_rate)}`,
    )
    .join('; ');
  return (
    <svg
      className="held-chart"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      role="img"
      aria-label={`Held-out accuracy by step. ${spoken}. Chance is 25%.`}
    >
      {[0, 0.5, 1].map((share) => (
        <g key={share}>
          <path d={`M${PAD.left} ${y(share)}H${right}`} stroke="var(--c-grid)" />
          <text x={PAD.left - 6} y={y(share) + 3.3} textAnchor="end">
            {share * 100}
          </text>
        </g>
      ))}
      <path d={`M${PAD.left} ${y(chance)}H${right}`} stroke="var(--c-ghost)" strokeDasharray="1.5 2.5" />
      <text x={right} y={y(chance) + 11} textAnchor="end">
        chance, 4 options
      </text>
      <path
        d={`M${x(evals[0]!.step)} ${y(evals[0]!.accuracy_sampled)}H${right}`}
        stroke="var(--text-3)"
        strokeDasharray="4 3"
      />
      <path d={path((line) => line.self_check_rate)} className="held-aha" />
      <path d={path((line) => line.accuracy_sampled)} className="held-line" />
      {evals.map((line) => {
        const { low, high } = interval95(line.accuracy_sampled, line.questions);
        const at = x(line.step);
        return (
          <g key={line.step} className="held-point">
            <path d={`M${at} ${y(low)}V${y(high)}M${at - 3} ${y(low)}h6M${at - 3} ${y(high)}h6`} />
            <circle cx={at} cy={y(line.accuracy_sampled)} r="3.2" className={line.step === 0 ? 'open' : ''} />
          </g>
        );
      })}
      {[0, Math.round(last / 2), last].map((step, place) => (
        <text key={step} x={x(step)} y={HEIGHT - 3} textAnchor={(['start', 'middle', 'end'] as const)[place]}>
          {step}
        </text>
      ))}
    </svg>
  );
}
