import { expect, it } from 'vitest';
import { learningRate } from '../../src/grpo/learning-rate';

it('gives the rates of Transformers’ schedules', () => {
  const rates = (lr_scheduler_type: 'constant' | 'constant_with_warmup' | 'linear' | 'cosine') =>
    [0, 1, 2, 6, 10, 12].map((step) =>
      Number(
        learningRate(step, {
          learning_rate: 1,
          lr_scheduler_type,
          warmup_ratio: 0.15,
          max_steps: 10,
        }).toFixed(6),
      ),
    );
  expect(rates('constant')).toEqual([1, 1, 1, 1, 1, 1]);
  expect(rates('constant_with_warmup')).toEqual([0, 0.5, 1, 1, 1, 1]);
  expect(rates('linear')).toEqual([0, 0.5, 1, 0.5, 0, 0]);
  expect(rates('cosine')).toEqual([0, 0.5, 1, 0.5, 0, 0]);
});
