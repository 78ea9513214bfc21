/** Schedules by the names of Hugging Face's `lr_scheduler_type`. */
export type SchedulerType = 'constant' | 'constant_with_warmup' | 'linear' | 'cosine';

/** A schedule's settings. */
export interface ScheduleConfig {
  learning_rate: number;
  lr_scheduler_type: SchedulerType;
  /** Share of `max_steps` over which the rate rises from 0; rounded up to whole steps, as in Transformers. */
  warmup_ratio: number;
  max_steps: number;
}

/**
 * The learning rate of a step, counted from 0 (transformers/optimization.py): `constant` has no warm-up; the others rise
 * to `learning_rate` over the warm-up, then `linear` and `cosine` (half a wave) fall to 0 at `max_steps`.
 */
export function learningRate(step: number, config: ScheduleConfig): number {
  const { learning_rate, lr_scheduler_type, warmup_ratio, max_steps } = config;
  if (lr_scheduler_type === 'constant') return learning_rate;
  const warmup = Math.ceil(warmup_ratio * max_steps);
  if (step < warmup) return (learning_rate * step) / Math.max(1, warmup);
  if (lr_scheduler_type === 'constant_with_warmup') return learning_rate;
  const left = max_steps - warmup;
  if (lr_scheduler_type === 'linear')
    return learning_rate * Math.max(0, (max_steps - step) / Math.max(1, left));
  const progress = Math.min(1, (step - warmup) / Math.max(1, left));
  return learning_rate * 0.5 * (1 + Math.cos(Math.PI * progress));
}
