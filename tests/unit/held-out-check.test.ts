import { expect, it } from 'vitest';
import type { BatchGenerator } from '../../src/generate/batch-generator';
import type { TinyLlava } from '../../src/model/tiny-llava';
import { checkHeldOut, type HeldOutCheck, sampledAccuracy } from '../../src/worker/training/held-out-check';
import type { QuestionSource, RunQuestion } from '../../src/worker/training/question-source';

/** What to check four questions with, and what was answered. Question 2 is right. */
function four(unreadable: readonly number[], options = ['left', 'right', 'up', 'down']) {
  const asked: number[] = [];
  const temperatures: number[][] = [];
  const source: Pick<QuestionSource, 'heldOut'> = {
    heldOut: async (number) =>
      unreadable.includes(number)
        ? { video_filename: `${number}.mp4`, message: `${number}.mp4 is cut off.` }
        : ({
            problem: 'Where?',
            options: options.slice(0, number + 1),
            solution: number === 2 ? '<answer>B</answer>' : '<answer>A</answer>',
            prompt_ids: new Int32Array([number]),
            visual: { buffer: { destroy() {} } },
          } as unknown as RunQuestion),
  };
  const generator = {
    async *generate({ prompts, answers }: Parameters<BatchGenerator['generate']>[0]) {
      asked.push(...prompts.map(({ question }) => question));
      temperatures.push(answers.map(({ settings }) => settings.temperature));
    },
  } as unknown as BatchGenerator;
  const model = { tokenizer: { decode: () => '<think>Right.</think><answer>B</answer>' } };
  const check: HeldOutCheck = {
    source,
    generator,
    model: model as unknown as TinyLlava,
    steps: {} as HeldOutCheck['steps'],
    count: 4,
    max_new_tokens: 8,
    side_by_side: 2,
    signal: new AbortController().signal,
    onProgress() {},
  };
  return { check, asked, temperatures };
}

it('leaves out held-out questions whose video cannot be read, and counts none twice', async () => {
  const { check, asked } = four([0, 1, 3]);
  expect(await checkHeldOut(check)).toMatchObject({
    questions: 1,
    accuracy_sampled: 1,
    accuracy_greedy: 1,
    format_rate: 1,
  });
  expect(asked).toEqual([2]);
  const all = four([1]);
  expect(await checkHeldOut(all.check)).toMatchObject({ questions: 3, accuracy_sampled: 1 / 3 });
  // Numbers stay: the sampled answers of a question are drawn alike in every check.
  expect(all.asked).toEqual([0, 2, 3]);
});

it('knows the accuracy of a blind guess, where all questions have options', async () => {
  expect((await checkHeldOut(four([]).check)).chance).toBe((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4);
  expect(await checkHeldOut(four([], []).check)).not.toHaveProperty('chance');
});

it('says why where no held-out video can be read', async () => {
  await expect(checkHeldOut(four([0, 1, 2, 3]).check)).rejects.toThrow('0.mp4 is cut off.');
});

it('draws the sampled answers alone where they alone are asked for', async () => {
  const { check, asked, temperatures } = four([1]);
  expect(await sampledAccuracy(check)).toBe(1 / 3);
  expect(asked).toEqual([0, 2, 3]);
  expect(temperatures).toEqual([[1], [1]]);
  const both = four([1]);
  await checkHeldOut(both.check);
  expect(both.temperatures).toEqual([
    [0, 1],
    [0, 1],
  ]);
});
