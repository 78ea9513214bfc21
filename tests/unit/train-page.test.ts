import { describe, expect, test } from 'vitest';
import { chartData } from '../../src/app/train/chart-data';
import { ahaByStep, chartSpecs, niceScale, smooth } from '../../src/app/train/chart-model';
import { completionRows } from '../../src/app/train/completion-rows';
import { presetConfig } from '../../src/app/train/presets';
import { reduceTraining } from '../../src/app/train/reduce-training';
import {
  evalsByTime,
  interval95,
  lastMean,
  nextEval,
  paceText,
  roughTime,
} from '../../src/app/train/run-facts';
import { liveProblems, parseSetting, runProblems, settingText } from '../../src/app/train/run-problems';
import { differenceNote, settingDifferences } from '../../src/app/train/setting-differences';
import {
  changeConfig,
  choosePreset,
  chosenData,
  findClips,
  reviveSetup,
  storedSetup,
} from '../../src/app/train/setup-store';
import { INITIAL_TRAINING_STATE, type TrainingState } from '../../src/app/train/training-state';
import type {
  CompletionRow,
  EvalLine,
  RunConfig,
  RunSummary,
  StepLine,
  TrainingEvent,
} from '../../src/worker/training-protocol';

const RUN: RunSummary = {
  run: 'r1',
  name: 'Run 1',
  stage: 'grpo',
  model: 'toy-base',
  data: 'toy',
  state: 'compiling',
  step: 0,
  saved_step: 0,
  max_steps: 10,
  created: 1,
  bytes: 0,
  config: presetConfig('quick'),
};
const started: TrainingEvent = { type: 'run-started', id: 1, run: RUN, config: presetConfig('quick') };
const line = (step: number, reward = step): StepLine => ({ step, reward });
const row = (step: number, change: Partial<CompletionRow> = {}): CompletionRow => ({
  step,
  question: step,
  sample: 0,
  prompt: 'Where?\nOptions:\nA. here\nB. there',
  completion: '<think>Here.</think><answer>A</answer>',
  solution: 'A',
  rewards: {},
  reward: 0,
  advantage: 0,
  tokens: 3,
  terminated: true,
  aha: false,
  ...change,
});

function stateAfter(...events: Parameters<typeof reduceTraining>[1][]): TrainingState {
  return events.reduce(reduceTraining, INITIAL_TRAINING_STATE);
}
const running: TrainingEvent = { type: 'run-state', run: 'r1', state: 'running', step: 0 };
const step = (at: number): TrainingEvent => ({ type: 'run-step', run: 'r1', line: line(at) });

describe('reduceTraining', () => {
  test('a run that another tab went on with is no longer what this tab knew of it', () => {
    const paused: TrainingEvent = { type: 'run-state', run: 'r1', state: 'paused', step: 1, message: 'KL.' };
    const here = stateAfter(started, running, step(1), paused);
    const listed = (change: Partial<RunSummary>): TrainingEvent => ({
      type: 'runs',
      id: 2,
      runs: [{ ...RUN, state: 'paused', step: 1, ...change }],
    });
    expect(reduceTraining(here, listed({})).live).toMatchObject({ state: 'paused', message: 'KL.' });
    expect(reduceTraining(here, listed({ state: 'running', step: 3 })).live).toBeUndefined();
    expect(reduceTraining(here, listed({ step: 3 })).live).toBeUndefined();
    const { live: _, ...read } = here;
    expect(reduceTraining(read, listed({})).shown).toBe('r1');
    expect(reduceTraining(read, { type: 'runs', id: 3, runs: [] }).shown).toBeUndefined();
    // The run that goes on here is known better here than on disk.
    const live = stateAfter(started, running, step(1));
    expect(reduceTraining(live, listed({ state: 'running', step: 0 })).live).toBeDefined();
  });

  test('a changed setting is that of the record and of the list', () => {
    const settings = { learning_rate: 1e-5, max_steps: 12 };
    const state = stateAfter(started, { type: 'page/changed', run: 'r1', settings });
    expect(state.records.r1?.config.grpo).toMatchObject(settings);
    expect(state.runs).toMatchObject([{ max_steps: 12, config: { grpo: settings } }]);
  });

  test('what is changed while a run is paused waits for it to go on', () => {
    const changes = { beta: 0.2 };
    const state = stateAfter(started, { type: 'page/changes', run: 'r1', changes });
    expect(state.records.r1).toMatchObject({ changes, config: stateAfter(started).records.r1?.config });
    expect(reduceTraining(state, started).records.r1).not.toHaveProperty('changes');
  });

  test('a step moves the run, its mean reward and the list', () => {
    const state = stateAfter(started, running, step(1), step(2));
    expect(state.runs).toMatchObject([{ step: 2, reward: 1.5, state: 'running' }]);
    expect(state.records.r1?.lines.map((one) => one.step)).toEqual([1, 2]);
  });

  test('a run that goes on from an older step has each step once, and says what is repeated', () => {
    const scored: TrainingEvent = { type: 'group-scored', run: 'r1', question: 3, rows: [row(3)] };
    const resumed: TrainingEvent = {
      type: 'run-event',
      run: 'r1',
      event: { step: 1, code: 'resumed', text: '', time: 2 },
    };
    const before = stateAfter(started, running, step(1), step(2), scored, step(3));
    const state = [started, running, resumed, step(2)].reduce<TrainingState>(reduceTraining, before);
    expect(state.records.r1?.lines.map((one) => one.step)).toEqual([1, 2]);
    expect(state.records.r1?.completions).toEqual([]);
    expect(state.live?.repeats).toEqual({ from: 1, reached: 3 });
  });

  test('lines that a log holds twice count as they were written last', () => {
    const state = stateAfter({
      type: 'run-data',
      id: 2,
      run: RUN,
      config: presetConfig('quick'),
      lines: [line(1), line(2, 5), line(3), line(2, 7)],
      evals: [],
      events: [],
      completions: [],
      checkpoints: [],
    });
    expect(state.records.r1?.lines).toEqual([line(1), line(2, 7)]);
  });

  test('answers that were being written are gone once the run pauses; a new step drops the groups before it', () => {
    const group = (question: number, at: number): TrainingEvent => ({
      type: 'group-started',
      run: 'r1',
      step: at,
      question,
      prompt: 'Where?',
      solution: 'A',
      settings: { temperature: 1, top_k: 0, top_p: 1, max_new_tokens: 8, seed: 0 },
      num_generations: 2,
    });
    const scored: TrainingEvent = { type: 'group-scored', run: 'r1', question: 8, rows: [row(1)] };
    const state = stateAfter(started, running, group(8, 1), scored, group(9, 1));
    expect(state.live?.groups.map(({ question }) => question)).toEqual([8, 9]);
    const paused = reduceTraining(state, { type: 'run-state', run: 'r1', state: 'paused', step: 0 });
    expect(paused.live?.groups.map(({ question }) => question)).toEqual([8]);
    expect(reduceTraining(state, group(16, 2)).live?.groups.map(({ question }) => question)).toEqual([16]);
  });

  test('events of another run leave the live one alone; a deleted run is nowhere', () => {
    const state = stateAfter(started, running, step(1));
    const other = reduceTraining(state, { type: 'run-progress', run: 'r2', label: '', done: 1, total: 2 });
    expect(other).toBe(state);
    const gone = reduceTraining(state, { type: 'page/deleted', run: 'r1' });
    expect(gone).toEqual({ runs: [], records: {} });
  });

  test('the end of the engine is the failure of what ran', () => {
    expect(reduceTraining(stateAfter(started, running), { type: 'page/engine-gone' }).live?.state).toBe(
      'failed',
    );
    const idle = stateAfter(started, { ...running, state: 'paused' });
    expect(reduceTraining(idle, { type: 'page/engine-gone' })).toBe(idle);
  });
});

describe('charts', () => {
  test('smoothing has no bias at its start and leaves gaps', () => {
    expect(smooth([2, null, 2], 0.9)).toEqual([2, null, expect.closeTo(2, 12)]);
    expect(smooth([1, 3], 0)).toEqual([1, 3]);
  });

  test('scales have round ends around all numbers', () => {
    expect(niceScale(-0.55, 1.3)).toEqual({ min: -1.5, max: 1.5, ticks: [-1.5, 0, 1.5] });
    for (const [low, high] of [
      [0, 0],
      [3, 3],
      [-0.001, 0.0007],
      [12, 9000],
      [0.2, 0.21],
    ] as const) {
      const { min, max, ticks } = niceScale(low, high);
      expect(min).toBeLessThanOrEqual(low);
      expect(max).toBeGreaterThanOrEqual(high);
      expect(max).toBeGreaterThan(min);
      expect(ticks).toHaveLength(3);
    }
  });

  test('a step without a finite value is a gap with a mark, a compared run has columns of its own', () => {
    const config = presetConfig('quick');
    const lines = [1, 2, 3].map((at) => ({ step: at, grad_norm: at === 2 ? Number.NaN : at }));
    const record = { config, lines, events: [], run: RUN };
    const spec = chartSpecs(record, new Map()).main.find(({ name }) => name === 'grad_norm')!;
    const other = { name: 'Run 0', spec, lines: [{ step: 4, grad_norm: 9 }] };
    const data = chartData(spec, record, [other], 0);
    expect(data.steps).toEqual([1, 2, 3, 4]);
    expect(data.columns).toEqual([
      { kind: 'ghost', curve: 0, values: [null, null, null, 9] },
      { kind: 'line', curve: 0, values: [1, null, 3, null] },
    ]);
    expect(data.marks.gaps).toEqual([2]);
    expect(data.scale.max).toBeGreaterThanOrEqual(9);
  });

  test('the figure over a curve is what the list of runs has, however the curve is smoothed', () => {
    const steps = Array.from({ length: 14 }, (_, place) => place + 1);
    const lines = steps.map((at) => ({ step: at, reward: at % 3 ? at : -at, num_tokens: at * 100 }));
    const { runs, records } = stateAfter(
      { type: 'runs', id: 1, runs: [] },
      started,
      running,
      ...lines.map((of): TrainingEvent => ({ type: 'run-step', run: 'r1', line: of })),
    );
    const { main, more } = chartSpecs(records.r1!, new Map());
    const figure = (name: string, smoothing: number, longer: StepLine[] = []) => {
      const spec = [...main, ...more].find((one) => one.name === name)!;
      return chartData(spec, records.r1!, [{ name: 'Run 0', spec, lines: longer }], smoothing).figure;
    };
    expect(runs![0]!.reward).toBeCloseTo((5 - 6 + 7 + 8 - 9 + 10 + 11 - 12 + 13 + 14) / 10, 12);
    for (const smoothing of [0, 0.95]) expect(figure('reward', smoothing)).toBe(runs![0]!.reward);
    expect(figure('reward', 0, [{ step: 99, reward: 9 }])).toBe(runs![0]!.reward);
    expect(figure('num_tokens', 0.95)).toBe(1400);
    expect(figure('kl', 0)).toBeUndefined();
    expect(lastMean([9, ...Array<null>(8).fill(null), 1, Number.NaN])).toBe(1);
    expect(lastMean([9, ...Array<null>(10).fill(null)])).toBeUndefined();
  });

  test('the share of answers with an aha is counted where the log has none', () => {
    const completions = [row(1, { aha: true }), row(1), row(2)];
    expect([...ahaByStep({ lines: [{ step: 2, self_check_rate: 0.25 }], completions })]).toEqual([
      [1, 0.5],
      [2, 0.25],
    ]);
  });
});

describe('setup', () => {
  test('every preset can be run', () => {
    for (const name of ['quick', 'toy', 'paper', 'trl'] as const)
      expect(runProblems(presetConfig(name))).toEqual({});
  });

  test('what is wrong is said by field', () => {
    const config = presetConfig('toy');
    const problems = runProblems({
      ...config,
      grpo: { ...config.grpo, beta: Number.NaN },
      lora: { ...config.lora, r: 0.5, target_modules: [] },
      rewards: [{ name: 'user_reward', weight: 1, code: ' ' }],
      save_steps: 0,
    });
    expect(Object.keys(problems).sort()).toEqual(['beta', 'r', 'rewards', 'save_steps', 'target_modules']);
    // Any rank can be trained, and the memory plan may suggest it.
    expect(runProblems({ ...config, lora: { ...config.lora, r: 6 } })).toEqual({});
  });

  test('charts of both stages are told apart by name, and those of the cold start are among GRPO’s', () => {
    const names = (stage: RunConfig['stage']) => {
      const { main, more } = chartSpecs({ config: { ...presetConfig('toy'), stage }, lines: [] }, new Map());
      return [...main, ...more].map(({ name }) => name);
    };
    const all = names('grpo');
    expect(new Set(all).size).toBe(all.length);
    expect(all).toEqual(expect.arrayContaining(names('cold-start')));
  });

  test('what a run does not use may be anything; a KL limit of 0 is none', () => {
    const config = { ...presetConfig('toy'), max_length_reward: 0, kl_limit: 0 };
    expect(runProblems(config)).toEqual({ max_length_reward: 'A whole number from 1 to 1,000,000.' });
    const plain = { ...config, rewards: [{ name: 'accuracy_reward' as const, weight: 1 }] };
    expect(runProblems(plain)).toEqual({});
    expect(chartSpecs({ config: plain, lines: [] }, new Map()).main[2]).not.toHaveProperty('limit');
    const form = { ...plain, rewards: [{ name: 'format_reward' as const, weight: 1 }] };
    expect(runProblems(form)).toHaveProperty('max_length_reward');
    for (const kl_limit of [-1, Number.NaN])
      expect(runProblems({ ...plain, kl_limit })).toHaveProperty('kl_limit');
    const wrong = { ...config, grpo: { ...config.grpo, num_generations: 1 }, rewards: [], kl_limit: -1 };
    expect(runProblems({ ...wrong, stage: 'cold-start' })).toEqual({});
  });

  test('no number that nobody means gets through', () => {
    const { grpo, lora, ...config } = presetConfig('toy');
    const all = {
      ...config,
      grpo: { ...grpo, max_steps: 1e15, max_completion_length: 1e15 },
      lora: { ...lora, r: 1e9, lora_alpha: 1e300 },
      rewards: [{ name: 'signed_reward' as const, weight: Number.POSITIVE_INFINITY }],
      eval_questions: 1e15,
      max_length_reward: 1e15,
    };
    expect(runProblems(all)).toMatchObject({
      max_steps: 'max_steps is a whole number from 1 up to 1000000.',
      max_completion_length: 'max_completion_length is a whole number from 1 up to 32768.',
      r: 'A whole number from 1 to 256.',
      lora_alpha: 'A number above 0, up to 65536.',
      rewards: 'The weight of signed_reward is a number from −1000 to 1000.',
      eval_questions: 'A whole number from 0 to 10,000.',
      max_length_reward: 'A whole number from 1 to 1,000,000.',
    });
  });

  test('a run that goes on cannot be given fewer steps than it has done', () => {
    const config = presetConfig('quick');
    expect(liveProblems(config, 9)).toEqual({});
    expect(liveProblems(config, 10)).toEqual({
      max_steps: '10 are done already: give more, or stop the run.',
    });
    expect(liveProblems({ ...config, grpo: { ...config.grpo, beta: -1 } }, 0)).toHaveProperty('beta');
  });

  test('in what runs differ, in a few words and in full', () => {
    const toy = presetConfig('toy');
    const other: RunConfig = {
      ...toy,
      grpo: { ...toy.grpo, max_steps: 8, learning_rate: 3e-4, beta: 0, kl_clamp: Number.POSITIVE_INFINITY },
      lora: { ...toy.lora, target_modules: ['self_attn.q_proj', 'self_attn.v_proj'] },
      rewards: [{ name: 'user_reward', weight: 0.5, code: '() => 1\n' }],
    };
    expect(differenceNote(toy, toy)).toBe('');
    expect(differenceNote({ ...toy, grpo: { ...toy.grpo, learning_rate: 3e-4 } }, toy)).toBe('lr 3e-4');
    expect(differenceNote({ ...toy, stage: 'cold-start' }, toy)).toMatch(/^cold start/);
    expect(differenceNote(other, toy)).toMatch(/, \d more$/);
    const found = settingDifferences([toy, other, toy]);
    expect(Object.fromEntries(found.map(({ name, values }) => [name, values]))).toEqual({
      max_steps: ['60', '8', '60'],
      beta: ['0.01', '0', '0.01'],
      kl_clamp: ['100', 'inf', '100'],
      learning_rate: ['0.001', '3e-4', '0.001'],
      target_modules: ['q k v o gate up down', 'q v', 'q k v o gate up down'],
      rewards: ['signed_reward × 1', 'user_reward × 0.5', 'signed_reward × 1'],
      'user_reward’s code': ['–', '() => 1', '–'],
    });
  });

  test('a change makes the settings the user’s, and storage brings them back, infinity too', () => {
    const setup = reviveSetup(undefined);
    expect(setup.preset).toBe('toy');
    const { grpo } = setup.config;
    const changed = changeConfig(setup, { grpo: { ...grpo, kl_clamp: Number.POSITIVE_INFINITY } });
    expect(changed.preset).toBe('yours');
    const stored = JSON.parse(
      JSON.stringify({ preset: 'yours', yours: { ...changed.yours, grpo: { ...grpo, kl_clamp: 'inf' } } }),
    );
    expect(reviveSetup(stored).config.grpo.kl_clamp).toBe(Number.POSITIVE_INFINITY);
    expect(reviveSetup({ preset: 'yours', yours: { grpo: { beta: 'x' } } }).preset).toBe('toy');
    expect(reviveSetup({ preset: 'yours', yours: { rewards: 3 } }).preset).toBe('toy');
    expect(choosePreset(choosePreset(changed, 'quick'), 'yours').config).toBe(changed.config);
  });

  test('questions of one’s own come back without their clips, and with them once these are chosen again', () => {
    const question = { problem: 'Where?\nOptions:\nA. here\nB. there', label: 'A', video_filename: 'a.mp4' };
    const other = { ...question, label: 'B', video_filename: 'b.mp4' };
    const own = [
      { ...question, clip: new Blob(['a']) },
      { ...other, clip: new Blob(['b']) },
    ];
    const before = { ...reviveSetup(undefined), data: 'own' as const, own };
    const back = reviveSetup(JSON.parse(JSON.stringify(storedSetup(before))));
    expect(back).toMatchObject({ data: 'own', own: [], lost: [question, other] });
    expect(chosenData(back)).toBeUndefined();
    const clip = new File(['b'], 'b.mp4');
    const found = findClips(back, [clip, new File(['c'], 'c.mp4')]);
    expect(found.lost).toEqual([question]);
    expect(chosenData(found)).toEqual({ kind: 'own', questions: [{ ...other, clip }] });
    expect(reviveSetup(JSON.parse(JSON.stringify(storedSetup(found)))).lost).toEqual([other, question]);
    expect(reviveSetup({ data: 'own', own: [{ problem: 3 }, null, 'x'] })).toMatchObject({
      data: 'toy',
      lost: [],
    });
  });

  test('numbers are read as they are written', () => {
    for (const value of [1e-4, 0.04, 3e-3, 60, 0, -2.5, Number.POSITIVE_INFINITY, 1e-8])
      expect(parseSetting(settingText(value))).toBe(value);
    for (const text of ['', 'abc', '1e', '0x10', '1,5', '--1']) expect(parseSetting(text)).toBeNaN();
  });
});

test('pace, intervals, checks', () => {
  const lines = Array.from({ length: 20 }, (_, i) => ({ step: i + 1, step_time: 1.9 }));
  expect(paceText(lines, 184, 400)).toBe('1.9 s per step, about 7 min left');
  expect(paceText([], 0, 10)).toBe('');
  expect([30, 50, 5400, 7150, 36_000].map(roughTime)).toEqual(['30 s', '1 min', '1 h 30 min', '2 h', '10 h']);
  const { low, high } = interval95(0.5, 200);
  expect(low).toBeCloseTo(0.431, 3);
  expect(high).toBeCloseTo(0.569, 3);
  expect(interval95(1, 16)).toMatchObject({ high: 1 });
  expect(interval95(0, 16).low).toBe(0);
  const check = (at: number): EvalLine => ({ ...({} as EvalLine), step: at });
  const all = [check(0), check(20), check(40)];
  expect(evalsByTime(all, false)).toMatchObject({ before: { step: 0 }, during: { step: 40 } });
  expect(evalsByTime(all, true)).toMatchObject({ during: { step: 20 }, after: { step: 40 } });
  expect(evalsByTime([check(0)], true)).toMatchObject({ after: undefined, during: undefined });
  expect(nextEval(184, 50, 400)).toBe(200);
  expect(nextEval(390, 50, 400)).toBeUndefined();
});

test('completions: newest first, lowest first, those with an aha, and a search in all words', () => {
  const rows = [
    row(1, { reward: 1 }),
    row(2, { reward: -2, aha: true }),
    row(3, { completion: 'Somewhere ELSE' }),
  ];
  const steps = (order: 'latest' | 'lowest' | 'aha', search = '') =>
    completionRows(rows, order, search).map((one) => one.step);
  expect(steps('latest')).toEqual([3, 2, 1]);
  expect(steps('lowest')).toEqual([2, 3, 1]);
  expect(steps('aha')).toEqual([2]);
  expect(steps('latest', 'else where')).toEqual([3]);
});
