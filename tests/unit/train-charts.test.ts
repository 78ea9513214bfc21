import { describe, expect, test } from 'vitest';
import { chartData } from '../../src/app/train/chart-data';
import { tickText } from '../../src/app/train/chart-drawing';
import { chartSpecs, niceScale, steadyScale } from '../../src/app/train/chart-model';
import { presetConfig } from '../../src/app/train/presets';
import { spreadLabels } from '../../src/app/train/spread-labels';
import type { RunSummary, StepLine } from '../../src/worker/training-protocol';

const config = presetConfig('quick');
const RUN: RunSummary = {
  run: 'r1',
  name: 'Run 1',
  stage: 'grpo',
  model: 'toy-base',
  data: 'toy',
  state: 'running',
  step: 3,
  saved_step: 0,
  max_steps: 10,
  created: 1,
  bytes: 0,
  config,
};

describe('charts of a run', () => {
  test('a scale stays while numbers leave it by 5 % at most, and gives way to more and to much less', () => {
    const before = niceScale(0, 10);
    expect(before).toEqual({ min: 0, max: 10, ticks: [0, 5, 10] });
    const wider = steadyScale(-0.2, 10.5, before);
    expect(wider).toEqual({ min: -0.2, max: 10.5, ticks: [0, 5, 10] });
    // It does not creep: what counts is where the ticks end.
    expect(steadyScale(0, 10.6, wider)).toEqual(niceScale(0, 10.6));
    expect(steadyScale(-0.6, 10, wider)).toEqual(niceScale(-0.6, 10));
    expect(steadyScale(0, 10, wider)).toEqual(before);
    expect(steadyScale(0, 4, before)).toEqual(niceScale(0, 4));
  });

  test('the length of answers comes with the shortest and the longest', () => {
    const lines = [1, 2].map((at) => ({
      step: at,
      'completions/mean_length': 20,
      'completions/min_length': 10 - at,
      'completions/max_length': 30 + at,
    }));
    const record = { config, lines, events: [], run: RUN };
    const spec = chartSpecs(record, new Map()).main.find(({ name }) => name === 'completion_length')!;
    const { columns, scale } = chartData(spec, record, [], 0);
    expect(columns.map(({ kind, values }) => [kind, values])).toEqual([
      ['high', [31, 32]],
      ['low', [9, 8]],
      ['line', [20, 20]],
    ]);
    expect(scale.max).toBeGreaterThanOrEqual(32);
  });

  test('a compared run has a ghost of each curve that it has too, named once; a step without any is a gap', () => {
    const parts = (accuracy: number, format: number) => ({
      'rewards/accuracy_reward/mean': accuracy,
      'rewards/format_reward/mean': format,
    });
    const lines = [{ step: 1, ...parts(0.1, 0.2) }, { step: 2 }, { step: 3, ...parts(0.3, 0.4) }];
    const record = { config, lines, events: [], run: RUN };
    const partsOf = (of: StepLine[]) =>
      chartSpecs({ config, lines: of }, new Map()).main.find(({ name }) => name === 'reward parts')!;
    const ghosts = (of: StepLine[]) => {
      const other = { name: 'Run 0', spec: partsOf(of), lines: of };
      const { columns, marks } = chartData(partsOf(lines), record, [other], 0);
      return {
        columns: columns.filter(({ kind }) => kind === 'ghost'),
        names: marks.ends.filter(({ dot }) => !dot).map(({ label }) => label),
        gaps: marks.gaps,
      };
    };
    expect(ghosts([{ step: 1, ...parts(0.5, 0.6) }])).toEqual({
      columns: [
        { kind: 'ghost', curve: 0, values: [0.5, null, null] },
        { kind: 'ghost', curve: 1, values: [0.6, null, null] },
      ],
      names: ['Run 0', undefined],
      gaps: [2],
    });
    const other = { step: 1, 'rewards/format_reward/mean': 0.5, 'rewards/user_reward/mean': 5 };
    expect(ghosts([other])).toEqual({
      columns: [{ kind: 'ghost', curve: 1, values: [0.5, null, null] }],
      names: ['Run 0'],
      gaps: [2],
    });
  });

  test('a run without a step stands before compared ones, whose long names are cut', () => {
    const record = { config, lines: [], events: [], run: RUN };
    const before = { ...record, lines: [{ step: 1, reward: 1, 'rewards/accuracy_reward/mean': 1 }] };
    const others = chartSpecs(before, new Map()).main;
    const charts = chartSpecs(record, new Map()).main.map((spec, place) =>
      chartData(
        spec,
        record,
        [{ name: 'Higher learning rate', spec: others[place]!, lines: before.lines }],
        0.8,
      ),
    );
    const [reward, parts] = charts;
    expect(reward!.marks.ends).toEqual([expect.objectContaining({ label: 'Higher lear…', value: 1 })]);
    expect(parts!.columns).toEqual([]);
  });

  test('what has no noise is not smoothed', () => {
    const lines = [1, 2, 3].map((at) => ({ step: at, num_tokens: at * 100, reward: at }));
    const record = { config, lines, events: [], run: RUN };
    const { main, more } = chartSpecs(record, new Map());
    const lineOf = (name: string) => {
      const spec = [...main, ...more].find((one) => one.name === name)!;
      return chartData(spec, record, [], 0.8).columns.find(({ kind }) => kind === 'line')!.values;
    };
    expect(lineOf('num_tokens')).toEqual([100, 200, 300]);
    expect(lineOf('reward').at(-1)).toBeLessThan(3);
  });

  test('labels keep apart, in their curves’ order, above the axis', () => {
    expect(spreadLabels([50, 10, 12], 11, 100)).toEqual([50, 10, 21]);
    expect(spreadLabels([99, 98], 10, 100)).toEqual([95, 85]);
    expect(spreadLabels([], 10, 100)).toEqual([]);
  });

  test('numbers at an axis are exact to three digits', () => {
    expect([1600, 250_000, 1.5e6, 800, 0.5, -0.25, 0, 2.5e-5].map(tickText)).toEqual([
      '1.6K',
      '250K',
      '1.5M',
      '800',
      '.5',
      '−.25',
      '0',
      '2.5e−5',
    ]);
  });
});
