import { expect, it } from 'vitest';
import type { BatchGenerator } from '../../src/generate/batch-generator';
import type { TinyLlava } from '../../src/model/tiny-llava';
import { checkHeldOut, type HeldOutCheck } from '../../src/worker/training/held-out-check';
import type { QuestionSource, RunQuestion } from '../../src/worker/training/question-source';

/** A check of four questions, and the numbers that were answered. Question 2 is right. */
function check(unreadable: readonly number[]): { found: ReturnType<typeof checkHeldOut>; asked: number[] } {
  const asked: number[] = [];
  const source: Pick<QuestionSource, 'heldOut'> = {
    heldOut: async (number) =>
      unreadable.includes(number)
        ? { video_filename: `${number}.mp4`, message: `${number}.mp4 is cut off.` }
        : ({
            problem: 'Where?',
            options: ['left', 'right'],
            solution: number === 2 ? '<answer>B</answer>' : '<answer>A</answer>',
            prompt_ids: new Int32Array([number]),
            visual: { buffer: { destroy() {} } },
          } as unknown as RunQuestion),
  };
  const generator = {
    async *generate({ prompts }: { prompts: { question: number }[] }) {
      asked.push(...prompts.map(({ question }) => question));
    },
  } as unknown as BatchGenerator;
  const model = { tokenizer: { decode: () => '<think>Right.</think><answer>B</answer>' } };
  const found = checkHeldOut({
    source,
    generator,
    model: model as unknown as TinyLlava,
    steps: {} as HeldOutCheck['steps'],
    count: 4,
    max_new_tokens: 8,
    side_by_side: 2,
    signal: new AbortController().signal,
    onProgress() {},
  });
  return { found, asked };
}

it('leaves out held-out questions whose video cannot be read, and counts none twice', async () => {
  const { found, asked } = check([0, 1, 3]);
  expect(await found).toMatchObject({
    questions: 1,
    accuracy_sampled: 1,
    accuracy_greedy: 1,
    format_rate: 1,
  });
  expect(asked).toEqual([2]);
  const all = check([1]);
  expect(await all.found).toMatchObject({ questions: 3, accuracy_sampled: 1 / 3 });
  // Numbers stay: the sampled answers of a question are drawn alike in every check.
  expect(all.asked).toEqual([0, 2, 3]);
});

it('says why where no held-out video can be read', async () => {
  await expect(check([0, 1, 2, 3]).found).rejects.toThrow('0.mp4 is cut off.');
});
