import type { BenchDevice } from '../../worker/bench-protocol';
import { type CaseFacts, type CaseKind, formatRate, formatTime, KIND_LABELS } from './bench-facts';
import { Mark, MarkShape } from './mark';

const WIDTH = 740;
const HEIGHT = 212;
const PAD = { left: 54, right: 18, top: 14, bottom: 30 };
const KINDS: readonly CaseKind[] = ['attention', 'linear', 'gradient'];

/** Whole powers of ten around some values. */
function decades(values: readonly number[]): [number, number] {
  const logs = values.filter((value) => value > 0).map(Math.log10);
  return [Math.floor(Math.min(...logs)), Math.ceil(Math.max(...logs))];
}

/** Every case by its operations a byte and its rate, under the roof of the two ceilings. */
export function Roofline({ device, facts }: { device: BenchDevice; facts: readonly CaseFacts[] }) {
  const { copy_gbps, f32_gflops } = device;
  const ridge = f32_gflops / copy_gbps;
  const [x0, x1] = decades([0.1, ridge * 2, ...facts.map((one) => one.intensity)]);
  const [y0, y1] = decades([f32_gflops, f32_gflops / 100, ...facts.map(({ found }) => found.gflops)]);
  const x = (value: number) =>
    PAD.left + ((Math.log10(value) - x0) / (x1 - x0)) * (WIDTH - PAD.left - PAD.right);
  const y = (value: number) =>
    PAD.top + (1 - (Math.log10(value) - y0) / (y1 - y0)) * (HEIGHT - PAD.top - PAD.bottom);
  const powers = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i));
  // The slope begins where it comes in from below, or from the left.
  const start = Math.max(10 ** x0, 10 ** y0 / copy_gbps);
  const slope = Math.atan2(y(f32_gflops) - y(start * copy_gbps), x(ridge) - x(start)) * (180 / Math.PI);
  const middle = Math.sqrt(start * ridge);
  return (
    <figure className="roof">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={inWords(device, facts)}>
        {powers(y0, y1).map((value, i) => (
          <g key={value}>
            <path
              d={`M${PAD.left} ${y(value)}H${WIDTH - PAD.right}`}
              stroke={`var(${i === 0 ? '--c-axis' : '--c-grid'})`}
            />
            <text className="axis" x={PAD.left - 8} y={y(value) + 3.5} textAnchor="end">
              {formatRate(value, 'FLOP').replace('FLOP/s', '')}
            </text>
          </g>
        ))}
        {powers(x0, x1).map((value) => (
          <g key={value}>
            <path d={`M${x(value)} ${HEIGHT - PAD.bottom}v4`} stroke="var(--c-axis)" />
            <text className="axis" x={x(value)} y={HEIGHT - PAD.bottom + 15} textAnchor="middle">
              {value.toLocaleString('en')}
            </text>
          </g>
        ))}
        <text className="axis" x={WIDTH - PAD.right} y={HEIGHT - 2} textAnchor="end">
          operations per byte
        </text>
        <text className="axis" x={PAD.left + 4} y={PAD.top - 4}>
          FLOP/s
        </text>
        <path
          d={`M${x(start)} ${y(start * copy_gbps)}L${x(ridge)} ${y(f32_gflops)}H${WIDTH - PAD.right}`}
          fill="none"
          stroke="var(--text-2)"
          strokeWidth="1.4"
        />
        <text
          className="roof-label"
          transform={`translate(${x(middle)} ${y(middle * copy_gbps) - 7}) rotate(${slope})`}
          textAnchor="middle"
        >
          copies {formatRate(copy_gbps, 'B')}
        </text>
        <text className="roof-label" x={WIDTH - PAD.right} y={y(f32_gflops) - 6} textAnchor="end">
          f32 arithmetic {formatRate(f32_gflops, 'FLOP')}
        </text>
        {facts.map(({ key, kind, intensity, found, name }) => (
          <g key={key} transform={`translate(${x(intensity) - 5} ${y(found.gflops) - 5})`}>
            <title>{`${name}, ${found.shape}: ${formatTime(found.ms)}, ${formatRate(found.gflops, 'FLOP')}`}</title>
            <MarkShape kind={kind} />
          </g>
        ))}
      </svg>
      <figcaption className="row t2 sm">
        {KINDS.map((kind) => (
          <span key={kind} className="row marked">
            <Mark kind={kind} />
            {KIND_LABELS[kind]}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}

function inWords({ copy_gbps, f32_gflops }: BenchDevice, facts: readonly CaseFacts[]): string {
  const best = facts.reduce<CaseFacts | undefined>(
    (a, b) => (a && a.found.roofline_share >= b.found.roofline_share ? a : b),
    undefined,
  );
  const nearest = best
    ? ` Nearest to it: ${best.name}, ${best.found.shape}, with ${Math.round(100 * best.found.roofline_share)} percent.`
    : '';
  return `Roofline of ${facts.length} cases: ${formatRate(copy_gbps, 'B')} and ${formatRate(f32_gflops, 'FLOP')}.${nearest}`;
}
