import { describe, expect, it } from 'vitest';
import { DEFAULT_ADAMW } from '../../src/grpo/adamw-config';
import type { ColdStartConfig } from '../../src/grpo/cold-start';
import { COLD_START_FIELDS, CONFIG_FIELDS, configProblems } from '../../src/grpo/config-fields';
import { type GrpoConfig, TINYLLAVA_VIDEO_R1, TOY, TRL } from '../../src/grpo/grpo-config';

describe('the fields of a configuration', () => {
  it('are all of them, each with one line', () => {
    for (const preset of [TINYLLAVA_VIDEO_R1, TRL, TOY]) {
      expect(CONFIG_FIELDS.map(({ name }) => name).sort()).toEqual(Object.keys(preset).sort());
      expect(configProblems(preset)).toEqual({});
    }
    for (const { explanation } of CONFIG_FIELDS) {
      expect(explanation).toMatch(/^[A-Z][^\n]*\.$/);
      expect(explanation.length).toBeLessThan(110);
    }
  });

  it.each<[Partial<Record<keyof GrpoConfig, unknown>>, string]>([
    [{ num_generations: 1 }, 'num_generations is a whole number from 2 up to 64.'],
    [{ num_generations: 2.5 }, 'num_generations is a whole number from 2 up to 64.'],
    [{ learning_rate: 0 }, 'learning_rate is a number above 0 up to 1.'],
    [{ learning_rate: Number.NaN }, 'learning_rate is a number above 0 up to 1.'],
    [{ max_grad_norm: Number.POSITIVE_INFINITY }, 'max_grad_norm is a number from 0.'],
    [{ beta: '0.1' }, 'beta is a number from 0 up to 10.'],
    [{ loss_type: 'cispo' }, 'loss_type is one of grpo, dr_grpo, dapo, bnpo.'],
    [{ mask_truncated_completions: 1 }, 'mask_truncated_completions is either on or off.'],
    [{ seed: 2 ** 53 }, 'seed is a whole number from 0.'],
    [{ max_completion_length: 1e4 }, 'max_completion_length is at most 8192 with 8 answers to a question.'],
    [{ questions_per_step: 1000 }, 'questions_per_step is at most 512 with 8 answers to a question.'],
    [{ steps_per_generation: 9 }, 'steps_per_generation is at most questions_per_step, 8.'],
  ])('says what is wrong with %j', (change, problem) => {
    const config = { ...TINYLLAVA_VIDEO_R1, ...change } as GrpoConfig;
    expect(configProblems(config)).toEqual({ [Object.keys(change)[0]!]: problem });
  });

  it('are checked as far as the stage uses them', () => {
    const wrong = { ...TOY, num_generations: 1, beta: -1, steps_per_generation: 99, learning_rate: 0 };
    expect(Object.keys(configProblems(wrong, 'cold-start'))).toEqual(['learning_rate']);
    // All that the trainer is given, and what its questions come by.
    const { max_steps, learning_rate, lr_scheduler_type, warmup_ratio } = TOY;
    const trainer: ColdStartConfig = {
      ...DEFAULT_ADAMW,
      max_steps,
      learning_rate,
      lr_scheduler_type,
      warmup_ratio,
    };
    expect([...Object.keys(trainer), 'questions_per_step', 'max_completion_length', 'seed'].sort()).toEqual(
      [...COLD_START_FIELDS].sort(),
    );
  });
});
