import { expect, it } from 'vitest';
import { outOfMemory } from '../../src/generate/check-request';
import { GenerationError } from '../../src/generate/errors';
import { GpuMemoryError } from '../../src/gpu/errors';
import { pauseFor } from '../../src/worker/training/run-ending';

const none = new GpuMemoryError(64e6, 'gradients', 'full', 3e9);

it('a run without room on the GPU pauses, and says what there was no room for', () => {
  const paused = pauseFor(none, 3);
  expect(paused).toMatchObject({ state: 'paused', code: 'out-of-memory', text: none.message });
  expect(paused?.sentence).toBe(
    '64.0 MB of GPU memory were asked for (gradients), and the GPU has no more room: 3.00 GB are in use here. ' +
      'The run is paused.',
  );
  // A generator speaks of the answers to all questions side by side, of which the user has chosen another number.
  const drawn = outOfMemory({ num_generations: 64, max_new_tokens: 256 }, 700, 100, 1e4, none);
  expect(pauseFor(drawn, 3)?.text).toBe(none.message);
  const refused = outOfMemory({ num_generations: 8, max_new_tokens: 256 }, 700, 1300, 1e4);
  expect(pauseFor(refused, 3)?.text).toContain('2 answers fit, or 8 answers of 75 tokens.');
});

it('what no other GPU would mend is no pause', () => {
  expect(pauseFor(new GenerationError('too-long', 'Too long.', 'Too long.'), 3)).toBeUndefined();
  expect(pauseFor(new Error('No.'), 3)).toBeUndefined();
});
