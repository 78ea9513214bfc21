import { describe, expect, it } from 'vitest';
import { ErrorMeter, StageList } from '../../src/cli/verify/report';
import { tableRow } from '../../src/cli/verify/table';

describe('ErrorMeter', () => {
  it('relates the largest difference to the largest reference value, over all parts', () => {
    const meter = new ErrorMeter();
    meter.add([1, 2], [1, 2.5]);
    meter.add([-10], [-10.25]);
    expect(meter.result('x', 0.05)).toEqual({
      name: 'x',
      max_abs: 0.5,
      max_rel: 0.5 / 10.25,
      tolerance: 0.05,
      ok: true,
    });
    expect(meter.result('x', 0.04).ok).toBe(false);
  });

  it.each([
    ['NaN', [Number.NaN, 1], [0, 1]],
    ['NaN after a difference', [5, Number.NaN], [0, 1]],
    ['another length', [1], [1, 1]],
    ['nothing', [], []],
    ['values where only zeros are expected', [1e-9], [0]],
  ])('fails on %s, in numbers that JSON can hold', (_, actual, expected) => {
    const meter = new ErrorMeter();
    meter.add(actual, expected);
    const result = meter.result('x', 1e-5);
    expect(result.ok).toBe(false);
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
  });

  it('takes equal zeros for equal', () => {
    const meter = new ErrorMeter();
    meter.add([0, 0], [0, 0]);
    expect(meter.result('x', 0)).toMatchObject({ max_abs: 0, max_rel: 0, ok: true });
  });
});

describe('StageList', () => {
  it('is ok when there are stages and all are', () => {
    const list = new StageList();
    expect(list.report().ok).toBe(false);
    list.ids('a', [1, 2], [1, 2]);
    expect(list.report().ok).toBe(true);
    list.ids('b', [1, 2, 3], [1, 5]);
    expect(list.report()).toMatchObject({
      ok: false,
      stages: [{}, { max_abs: 2, max_rel: 2 / 3, ok: false }],
    });
  });
});

describe('tableRow', () => {
  it('shows numbers, equality and what cannot be compared', () => {
    const list = new StageList();
    list.compare('lm.logits', [1.001], [1]);
    list.compare('lm.loss', [1], [1], 0);
    list.compare('lm.bad', [1, 2], [1]);
    const rows = list.stages.map((stage) => tableRow(stage).split(/\s+/));
    expect(rows).toEqual([
      ['lm.logits', '1.0e-3', '1.0e-3', '2.0e-5', 'FAIL'],
      ['lm.loss', '0', '0', 'equal', 'ok'],
      ['lm.bad', 'differs', 'differs', '2.0e-5', 'FAIL'],
    ]);
  });
});
