import type { EvalLine } from '../../worker/training-protocol';
import { interval95 } from './run-facts';

const WIDTH = 272;
const PAD = { left: 26, right: 8, top: 8, bottom: 16 };

/** A curve over the checks of a run; checks without a value are gaps in it. */
export interface ShareCurve {
  value: (line: EvalLine) => number | undefined;
  className: string;
  /** Points with the 95 % interval of a share of all questions. */
  points?: boolean;
  /** Said beside the curve's end. */
  label?: string;
  /** It is said below the end: another curve's label stands above. */
  below?: boolean;
}

/** Checks of another run, behind those of the one that is shown. */
export interface ComparedEvals {
  run: string;
  name: string;
  evals: readonly EvalLine[];
}

interface Props {
  evals: readonly EvalLine[];
  max_steps: number;
  curves: readonly ShareCurve[];
  height: number;
  /** The chart in a sentence. */
  spoken: string;
  /** Drawn by the first curve's value. */
  compared?: readonly ComparedEvals[];
  /** A dotted line, and what it says. */
  chance?: { share: number; label: string };
}

/** Shares from 0 to 1 over the steps at which the held-out questions were asked. */
export function ShareChart({ evals, max_steps, curves, height, spoken, compared = [], chance }: Props) {
  const ends = [evals, ...compared.map((one) => one.evals)].map((lines) => lines.at(-1)?.step ?? 0);
  const last = Math.max(max_steps, ...ends, 1);
  const x = (step: number) => PAD.left + (step / last) * (WIDTH - PAD.left - PAD.right);
  const y = (share: number) => PAD.top + (1 - share) * (height - PAD.top - PAD.bottom);
  const right = WIDTH - PAD.right;
  const [first] = curves;
  const start = evals[0] && first?.value(evals[0]);
  return (
    <svg className="held-chart" viewBox={`0 0 ${WIDTH} ${height}`} role="img" aria-label={spoken}>
      {[0, 0.5, 1].map((share) => (
        <g key={share}>
          <path d={`M${PAD.left} ${y(share)}H${right}`} stroke="var(--c-grid)" />
          <text x={PAD.left - 6} y={y(share) + 3.3} textAnchor="end">
            {share * 100}
          </text>
        </g>
      ))}
      {chance && (
        <>
          <path
            d={`M${PAD.left} ${y(chance.share)}H${right}`}
            stroke="var(--c-ghost)"
            strokeDasharray="1.5 2.5"
          />
          <text x={right} y={y(chance.share) + 11} textAnchor="end">
            {chance.label}
          </text>
        </>
      )}
      {chance && start !== undefined && (
        <path d={`M${x(evals[0]!.step)} ${y(start)}H${right}`} stroke="var(--text-3)" strokeDasharray="4 3" />
      )}
      {first &&
        compared.map(({ run, name, evals: lines }, place) => (
          <g key={run}>
            <path d={pathOf(lines, first.value, x, y)} stroke="var(--c-ghost)" strokeWidth="1.2" />
            <EndLabel lines={lines} value={first.value} x={x} y={y} text={name} below={1 + place} />
          </g>
        ))}
      {curves.map((curve) => (
        <g key={curve.className}>
          <path d={pathOf(evals, curve.value, x, y)} className={curve.className} />
          {curve.label && (
            <EndLabel
              lines={evals}
              value={curve.value}
              x={x}
              y={y}
              text={curve.label}
              below={curve.below ? 1 : 0}
            />
          )}
          {curve.points &&
            evals.map((line) => <Point key={line.step} line={line} curve={curve} x={x} y={y} />)}
        </g>
      ))}
      {[...new Set([0, Math.round(last / 2), last])].map((step) => (
        <text
          key={step}
          x={x(step)}
          y={height - 3}
          textAnchor={step === 0 ? 'start' : step === last ? 'end' : 'middle'}
        >
          {step}
        </text>
      ))}
    </svg>
  );
}

type Scale = (value: number) => number;

function Point({ line, curve, x, y }: { line: EvalLine; curve: ShareCurve; x: Scale; y: Scale }) {
  const share = curve.value(line);
  if (share === undefined) return null;
  const { low, high } = interval95(share, line.questions);
  const at = x(line.step);
  return (
    <g className="held-point">
      <path d={`M${at} ${y(low)}V${y(high)}M${at - 3} ${y(low)}h6M${at - 3} ${y(high)}h6`} />
      <circle cx={at} cy={y(share)} r="3.2" className={line.step === 0 ? 'open' : ''} />
    </g>
  );
}

/** Above or below the curve's end, inside of the chart. */
function EndLabel({
  lines,
  value,
  x,
  y,
  text,
  below,
}: {
  lines: readonly EvalLine[];
  value: ShareCurve['value'];
  x: Scale;
  y: Scale;
  text: string;
  /** Where the curve that matters has its own mark above. */
  below: number;
}) {
  const last = lines.findLast((line) => value(line) !== undefined);
  if (!last) return null;
  const at = x(last.step);
  const end = y(value(last)!);
  return (
    <text
      x={at}
      y={below > 0 ? end + 6 + 10 * below : Math.max(8, end - 5)}
      textAnchor={at > WIDTH / 2 ? 'end' : 'start'}
    >
      {text}
    </text>
  );
}

function pathOf(lines: readonly EvalLine[], value: ShareCurve['value'], x: Scale, y: Scale): string {
  let pen = 'M';
  return lines
    .map((line) => {
      const share = value(line);
      const move = pen;
      pen = share === undefined ? 'M' : 'L';
      return share === undefined ? '' : `${move}${x(line.step)} ${y(share)}`;
    })
    .join('');
}
