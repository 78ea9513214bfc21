import type { StepLine } from '../../worker/training-protocol';
import { formatSigned } from '../shared/format';
import type { RunRecord } from './training-state';

/** A curve of a chart. */
export interface Curve {
  /** Said at its end where the chart has several. */
  label?: string;
  /** By step line; undefined and NaN are gaps. */
  value: (line: StepLine, before: StepLine | undefined) => number | undefined;
  /** Ends of the band around it. */
  band?: (line: StepLine) => readonly [low: number | undefined, high: number | undefined];
  /** Name of a CSS variable. */
  colour: string;
  dash?: readonly number[];
}

/** What one chart shows. */
export interface ChartSpec {
  name: string;
  unit?: string;
  curves: readonly Curve[];
  bars?: boolean;
  /** Not smoothed: what it shows has no noise. */
  exact?: boolean;
  /** Where the scale starts and ends, whatever the numbers are; beyond them it grows. */
  range?: readonly [number, number];
  limit?: { value: number; label: string };
  format: (value: number) => string;
}

const DASHES: readonly (readonly number[] | undefined)[] = [undefined, [5, 2], [1.5, 2], [7, 2, 1.5, 2]];
const COLOURS = ['--c1', '--c2', '--c3', '--c4', '--c5', '--c6'];

const digits = (count: number) => (value: number) => value.toFixed(count).replace('-', '−');
const plain = (value: number) =>
  value >= 100 ? value.toFixed(0) : value < 1e-3 ? value.toExponential(1) : value.toPrecision(2);
const key =
  (name: string) =>
  (line: StepLine): number | undefined =>
    line[name];

/** The charts of a run: the eight that matter, and `more` of them. Keys are those of TRL's log. */
export function chartSpecs(
  record: Pick<RunRecord, 'config' | 'lines'>,
  aha: ReadonlyMap<number, number>,
): { main: ChartSpec[]; more: ChartSpec[] } {
  const { config, lines } = record;
  const { beta, max_grad_norm } = config.grpo;
  const own = commonCharts(max_grad_norm);
  if (config.stage === 'cold-start')
    return {
      main: [own.loss, own.entropy, own.grad_norm, own.learning_rate],
      more: [own.step_time, own.tokens],
    };
  return {
    main: [
      {
        name: 'reward',
        unit: 'mean ± std',
        curves: [
          {
            value: key('reward'),
            band: ({ reward = Number.NaN, reward_std = Number.NaN }) => [
              reward - reward_std,
              reward + reward_std,
            ],
            colour: '--c1',
          },
        ],
        format: formatSigned,
      },
      { name: 'reward parts', curves: rewardCurves(lines), format: digits(2), range: [0, 1] },
      {
        name: 'kl',
        ...(beta === 0 ? { unit: 'beta is 0' } : {}),
        curves: [{ value: key('kl'), colour: '--c1' }],
        format: digits(3),
        ...limitAt(config.kl_limit, 'limit'),
      },
      own.entropy,
      {
        name: 'completion_length',
        unit: 'tokens',
        curves: [
          {
            value: key('completions/mean_length'),
            band: (line) => [line['completions/min_length'], line['completions/max_length']],
            colour: '--c1',
          },
        ],
        format: digits(0),
        range: [0, 10],
      },
      own.grad_norm,
      {
        name: 'frac_reward_zero_std',
        curves: [{ value: key('frac_reward_zero_std'), colour: '--c1' }],
        bars: true,
        format: digits(2),
        range: [0, 1],
      },
      {
        name: 'answers with an aha',
        curves: [{ value: ({ step }) => aha.get(step), colour: '--aha-line' }],
        format: digits(2),
        range: [0, 1],
      },
    ],
    more: [
      {
        name: 'clip_ratio',
        curves: [
          { label: 'region', value: key('clip_ratio/region_mean'), colour: '--c1' },
          { label: 'low', value: key('clip_ratio/low_mean'), colour: '--c2', dash: [5, 2] },
          { label: 'high', value: key('clip_ratio/high_mean'), colour: '--c3', dash: [1.5, 2] },
        ],
        format: digits(3),
        range: [0, 0.1],
      },
      {
        name: 'clipped_ratio',
        unit: 'cut off',
        curves: [{ value: key('completions/clipped_ratio'), colour: '--c1' }],
        format: digits(2),
        range: [0, 1],
      },
      own.learning_rate,
      own.loss,
      own.step_time,
      own.tokens,
      {
        name: 'logp difference',
        unit: 'largest',
        curves: [{ value: key('sampling/sampling_logp_difference/max'), colour: '--c1' }],
        format: plain,
        range: [0, 1e-4],
      },
      {
        name: 'reward_std',
        unit: 'of a step',
        curves: [{ value: key('reward_std'), colour: '--c1' }],
        format: digits(2),
        range: [0, 0.1],
      },
      {
        name: 'checked answers',
        unit: 'right by then',
        curves: [
          { label: 'before', value: key('checked_right_before'), colour: '--c2', dash: [5, 2] },
          { label: 'after', value: key('checked_right_after'), colour: '--c1' },
        ],
        format: digits(2),
        range: [0, 1],
      },
      {
        name: 'left out',
        unit: 'of a step',
        curves: [
          { label: 'questions', value: key('skipped_questions'), colour: '--c2', dash: [5, 2] },
          { label: 'updates', value: key('skipped_updates'), colour: '--c1' },
        ],
        format: digits(0),
        range: [0, 1],
      },
      {
        name: 'max_length',
        unit: 'tokens',
        curves: [{ value: key('completions/max_length'), colour: '--c1' }],
        format: digits(0),
        range: [0, 10],
      },
      {
        name: 'num_tokens',
        unit: 'so far',
        exact: true,
        curves: [{ value: key('num_tokens'), colour: '--c1' }],
        format: (value) => Math.round(value).toLocaleString('en'),
        range: [0, 10],
      },
    ],
  };
}

/** A limit that is on: 0 is none. */
function limitAt(value: number, name: string): Pick<ChartSpec, 'limit'> {
  return value > 0 ? { limit: { value, label: `${name} ${value}` } } : {};
}

/** The charts that both stages have. */
function commonCharts(max_grad_norm: number) {
  const one = (value: Curve['value']): Curve[] => [{ value, colour: '--c1' }];
  return {
    loss: { name: 'loss', curves: one(key('loss')), format: digits(3) },
    entropy: {
      name: 'entropy',
      unit: 'nats',
      curves: one(key('entropy')),
      format: digits(2),
      range: [0, 0.1],
    },
    grad_norm: {
      name: 'grad_norm',
      curves: one(key('grad_norm')),
      format: digits(2),
      range: [0, 0.1],
      ...limitAt(max_grad_norm, 'max_grad_norm'),
    },
    learning_rate: {
      name: 'learning_rate',
      exact: true,
      curves: one(key('learning_rate')),
      format: (value: number) => value.toExponential(1),
      range: [0, 1e-9],
    },
    step_time: {
      name: 'step_time',
      unit: 's',
      curves: one(key('step_time')),
      format: digits(1),
      range: [0, 1],
    },
    tokens: { name: 'tokens/s', curves: one(tokenRate), format: plain, range: [0, 10] },
  } as const satisfies Record<string, ChartSpec>;
}

/** From the log, else the tokens of a step by its seconds; `num_tokens` counts over the whole run. */
function tokenRate(line: StepLine, before: StepLine | undefined): number | undefined {
  const { num_tokens, step_time, tokens_per_second } = line;
  if (tokens_per_second !== undefined) return tokens_per_second;
  if (num_tokens === undefined || !step_time) return undefined;
  if (before?.num_tokens === undefined || before.num_tokens > num_tokens)
    return line.step === 1 ? num_tokens / step_time : undefined;
  return (num_tokens - before.num_tokens) / step_time;
}

/** One curve for each reward function of the log, in its order. */
function rewardCurves(lines: readonly StepLine[]): Curve[] {
  const names = new Set<string>();
  for (const line of [lines[0], lines.at(-1)])
    for (const name of Object.keys(line ?? {})) {
      const match = /^rewards\/(.+)\/mean$/.exec(name);
      if (match) names.add(match[1]!);
    }
  return [...names].map((name, place) => ({
    label: name.replace(/_(reward|penalty|punishment)$/, '').replaceAll('_', ' '),
    value: key(`rewards/${name}/mean`),
    colour: COLOURS[place % COLOURS.length]!,
    ...(DASHES[place % DASHES.length] ? { dash: DASHES[place % DASHES.length]! } : {}),
  }));
}

/** Share of each step's answers that check themselves: from the log, else counted over the completions. */
export function ahaByStep({
  lines,
  completions,
}: Pick<RunRecord, 'lines' | 'completions'>): Map<number, number> {
  const counts = new Map<number, { all: number; aha: number }>();
  for (const { step, aha } of completions) {
    const count = counts.get(step) ?? { all: 0, aha: 0 };
    count.all += 1;
    if (aha) count.aha += 1;
    counts.set(step, count);
  }
  const shares = new Map([...counts].map(([step, { all, aha }]) => [step, aha / all] as const));
  for (const line of lines)
    if (line.self_check_rate !== undefined) shares.set(line.step, line.self_check_rate);
  return shares;
}

/** A curve's values at `steps`; null where there is none. */
export function curveValues(
  curve: Pick<Curve, 'value'>,
  lines: readonly StepLine[],
  steps: readonly number[],
): (number | null)[] {
  const at = new Map(lines.map((line, place) => [line.step, curve.value(line, lines[place - 1])] as const));
  return steps.map((step) => {
    const value = at.get(step);
    return value === undefined || !Number.isFinite(value) ? null : value;
  });
}

/**
 * Exponential moving average without bias at its start, of weight `smoothing` on what was before (0: none). A gap stays
 * one.
 */
export function smooth(values: readonly (number | null)[], smoothing: number): (number | null)[] {
  let mean = 0;
  let weight = 0;
  return values.map((value) => {
    if (value === null) return null;
    mean = smoothing * mean + (1 - smoothing) * value;
    weight = smoothing * weight + (1 - smoothing);
    return mean / weight;
  });
}

/** Ends of a scale, and its ticks, whose first and last are its round ends. */
export interface Scale {
  min: number;
  max: number;
  ticks: number[];
}

/**
 * The scale over numbers, given the one they had before: while they leave that one by 5 % of it at most, it keeps its
 * ticks and only its ends give way.
 */
export function steadyScale(low: number, high: number, before: Scale | undefined): Scale {
  const next = niceScale(low, high);
  if (!before) return next;
  const { ticks } = before;
  const [from, to] = [ticks[0]!, ticks.at(-1)!];
  const room = 0.05 * (to - from);
  const smaller = next.ticks.at(-1)! - next.ticks[0]! < to - from;
  if (smaller || low < from - room || high > to + room) return next;
  return { min: Math.min(from, low), max: Math.max(to, high), ticks };
}

/** A scale over numbers, with round ends and three ticks. */
export function niceScale(low: number, high: number): Scale {
  if (!(high > low)) {
    const room = Math.abs(low) / 2 || 0.5;
    return niceScale(low - (low >= 0 && low < room ? low : room), high + room);
  }
  const rough = (high - low) / 2;
  const power = 10 ** Math.floor(Math.log10(rough));
  for (const factor of [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 15, 20]) {
    const step = factor * power;
    const min = Math.floor(low / step + 1e-9) * step;
    if (min + 2 * step >= high - step * 1e-9)
      return { min, max: min + 2 * step, ticks: [min, min + step, min + 2 * step] };
  }
  return { min: low, max: high, ticks: [low, (low + high) / 2, high] };
}
