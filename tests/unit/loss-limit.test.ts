import { expect, it } from 'vitest';
import { LossLimit } from '../../src/worker/loss-limit';

it('recovers from a loss unless the one before it was less than a minute ago', () => {
  const limit = new LossLimit();
  expect([0, 60_000, 119_999, 130_000, 190_000].map((now) => limit.recovers(now))).toEqual([
    true,
    true,
    false,
    false,
    true,
  ]);
});
