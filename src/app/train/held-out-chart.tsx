import type { EvalLine } from '../../worker/training-protocol';
import { shortName } from './chart-data';
import { interval95 } from './run-facts';
import { spreadLabels } from './spread-labels';

const WIDTH = 272;
const PAD = { left: 26, right: 8, top: 8, bottom: 16 };
/** Between a curve's end and its label, and about a letter's width. */
const GAP = 7;
const LETTER = 5.2;

/** A curve over the checks of a run; checks without a value are gaps in it. */
export interface ShareCurve {
  value: (line: EvalLine) => number | undefined;
  className: string;
  /** Points with the 95 % interval of a share of all questions. */
  points?: boolean;
  /** Said at the curve's end. */
  label?: string;
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
  const ended: { key: string; text: string; step: number; share: number }[] = [
    ...compared.map(({ run, name, evals }) => ({
      key: run,
      text: shortName(name),
      evals,
      value: curves[0]?.value,
    })),
    ...curves.map(({ className, label, value }) => ({ key: className, text: label, evals, value })),
  ].flatMap(({ key, text, evals, value }) => {
    const end = value && evals.findLast((line) => value(line) !== undefined);
    return text && end ? [{ key, text, step: end.step, share: value(end)! }] : [];
  });
  // Labels stand beside the curves' ends: the plot leaves room for them.
  const whole = WIDTH - PAD.left;
  const rooms = ended.map(({ text, step }) => {
    const before = step / last;
    return before && (GAP + LETTER * text.length - (1 - before) * whole) / before;
  });
  const right = WIDTH - Math.max(PAD.right, ...rooms);
  const x = (step: number) => PAD.left + (step / last) * (right - PAD.left);
  const y = (share: number) => PAD.top + (1 - share) * (height - PAD.top - PAD.bottom);
  const [first] = curves;
  const start = evals[0] && first?.value(evals[0]);
  const heights = spreadLabels(
    ended.map(({ share }) => y(share)),
    11,
    height - PAD.bottom,
  );
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
        <path
          d={`M${PAD.left} ${y(chance.share)}H${right}`}
          stroke="var(--c-ghost)"
          strokeDasharray="1.5 2.5"
        />
      )}
      {first?.points && start !== undefined && (
        <path d={`M${x(evals[0]!.step)} ${y(start)}H${right}`} stroke="var(--text-3)" strokeDasharray="4 3" />
      )}
      {first &&
        compared.map(({ run, evals: lines }) => (
          <path key={run} d={pathOf(lines, first.value, x, y)} stroke="var(--c-ghost)" strokeWidth="1.2" />
        ))}
      {curves.map((curve) => (
        <g key={curve.className}>
          <path d={pathOf(evals, curve.value, x, y)} className={curve.className} />
          {curve.points &&
            evals.map((line) => <Point key={line.step} line={line} curve={curve} x={x} y={y} />)}
        </g>
      ))}
      {/* Over the curves, which would run through them. */}
      {chance && (
        <text x={right} y={y(chance.share) + 11} textAnchor="end">
          {chance.label}
        </text>
      )}
      {ended.map(({ key, text, step }, place) => (
        <text key={key} x={x(step) + GAP} y={heights[place]! + 3.3}>
          {text}
        </text>
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
