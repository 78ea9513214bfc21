import { describe, expect, it } from 'vitest';
import { caseFacts, formatRate, formatRatio, formatTime } from '../../src/app/bench/bench-facts';
import { type BenchState, INITIAL_BENCH_STATE, reduceBench } from '../../src/app/store/bench-state';
import type { BenchCase, LinearCase } from '../../src/worker/bench-protocol';

const CASE: BenchCase = {
  kernel: 'decode',
  shape: 'P=700 G=8',
  dtype: 'f32',
  ms: 1,
  gflops: 100,
  gbps: 50,
  roofline_share: 0.5,
  vs_runtime: null,
  vs_copied_prefix: null,
  vs_unfused: null,
  runtime_values_ok: null,
};

describe('reduceBench', () => {
  const running = reduceBench(INITIAL_BENCH_STATE, { type: 'page/bench', id: 4 });

  it('takes the cases of its own measurement alone', () => {
    const state = reduceBench(running, { type: 'bench-case', id: 4, result: CASE });
    expect(state.cases).toEqual([CASE]);
    expect(reduceBench(state, { type: 'bench-case', id: 3, result: CASE })).toBe(state);
    const done = reduceBench(state, { type: 'bench-done', id: 4, targets: [], stopped: false });
    expect(done).toMatchObject({ status: 'done', cases: [CASE] });
    expect(reduceBench(done, { type: 'page/bench', id: 5 })).toMatchObject({ status: 'running', cases: [] });
  });

  it('keeps what was measured when the engine goes or fails', () => {
    const state = reduceBench(running, { type: 'bench-case', id: 4, result: CASE });
    expect(reduceBench(state, { type: 'page/engine-gone' })).toMatchObject({
      status: 'stopped',
      cases: [CASE],
    });
    const error = { scope: 'bench', code: 'failed', title: 'T.', message: 'M.' } as const;
    expect(reduceBench(state, { type: 'error', id: 4, error })).toMatchObject({ status: 'stopped', error });
    expect(reduceBench(state, { type: 'error', id: 9, error })).toBe(state);
  });

  it('goes back to where it was after a self-test that was asked for', () => {
    const report = { checks: [], off: [], ms: 1, remembered: false };
    const measured: BenchState = { ...INITIAL_BENCH_STATE, status: 'stopped', cases: [CASE] };
    const testing = reduceBench(measured, { type: 'page/self-test', id: 7 });
    expect(testing.status).toBe('testing');
    expect(reduceBench(testing, { type: 'self-test', report })).toMatchObject({
      status: 'stopped',
      selfTest: report,
    });
    // At start-up it comes unasked.
    expect(reduceBench(INITIAL_BENCH_STATE, { type: 'self-test', report }).status).toBe('idle');
  });
});

describe('bench facts', () => {
  it('says which ceiling binds', () => {
    const linear: LinearCase = {
      ...CASE,
      kernel: 'linear',
      rows: 64,
      k: 8,
      n: 4,
      weights: 'q4',
      pass: 'input-gradient',
      gbps: 1,
    };
    const facts = caseFacts([CASE, linear], { copy_gbps: 100, f32_gflops: 400 });
    expect(facts[0]).toMatchObject({
      bound: 'memory',
      bandwidthShare: 0.5,
      arithmeticShare: 0.25,
      intensity: 2,
    });
    expect(facts[1]).toMatchObject({ bound: 'arithmetic', kind: 'gradient', name: 'gradient of the input' });
    expect(new Set(facts.map(({ group }) => group)).size).toBe(2);
  });

  it('writes times, rates and ratios with their units', () => {
    expect([0.0483, 2.82, 123.4, 2500].map(formatTime)).toEqual(['48.3 µs', '2.82 ms', '123 ms', '2.50 s']);
    expect([0.005, 7.7, 212, 6100].map((rate) => formatRate(rate, 'B'))).toEqual([
      '5.0 MB/s',
      '7.7 GB/s',
      '212 GB/s',
      '6.1 TB/s',
    ]);
    expect([null, 2.4, 31.2].map(formatRatio)).toEqual(['–', '2.40 ×', '31 ×']);
  });
});
