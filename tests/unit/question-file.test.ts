import { describe, expect, it } from 'vitest';
import { isDemonstrationFile, parseDemonstrationFile } from '../../src/data/demonstration-file';
import { videoFinder } from '../../src/data/find-videos';
import { shuffledIndex, splitHeldOut } from '../../src/data/held-out';
import {
  parseQuestionFile,
  solutionLetter,
  splitProblem,
  writeQuestionFile,
} from '../../src/data/question-file';

const problem = 'why did the boy clap?\nOptions:\nA. to cheer\nB. he is cold\nC. by accident';
const row = (change: Record<string, unknown> = {}) => ({
  problem_id: 7,
  problem,
  data_type: 'video',
  solution: '<answer>C</answer>',
  video_filename: './NextQA/NExTVideo/1164/3238737531.mp4',
  ...change,
});
const line = (change?: Record<string, unknown>) => JSON.stringify(row(change));

describe('question files', () => {
  it("are read in the original's format, other fields and empty lines aside", () => {
    const { questions, problems, total } = parseQuestionFile(`\uFEFF${line()}\r\n\r\n${line()}\n`);
    expect(problems).toEqual([]);
    expect(total).toBe(2);
    const { solution, video_filename } = row();
    expect(questions).toEqual([
      { line: 1, problem, solution, video_filename },
      { line: 3, problem, solution, video_filename },
    ]);
  });

  it.each([
    ['{"problem": "a"', 'malformed', 'This line is no JSON.'],
    [`[${line()}]`, 'malformed', 'This line is JSON, but not an object in braces.'],
    ['[{', 'malformed', 'The file begins with a list'],
    ['"a"', 'malformed', 'not an object'],
    ['null', 'malformed', 'not an object'],
    [line({ problem: undefined }), 'missing-field', 'The field "problem" is missing.'],
    [line({ solution: null }), 'missing-field', 'The field "solution" is missing.'],
    [line({ video_filename: 7 }), 'missing-field', '"video_filename" must be a text'],
    [line({ problem: '  ' }), 'missing-field', '"problem" must be a text that is not empty'],
    [line({ solution: '<answer>C' }), 'bad-solution', 'without its other half'],
    [line({ solution: '<answer>\nC</answer>' }), 'bad-solution', 'without its other half on the same line'],
    [line({ solution: '<answer> </answer>' }), 'bad-solution', 'nothing between'],
    [line({ solution: '<answer>D</answer>' }), 'bad-solution', 'is D, and the options end at C.'],
  ])('report what is wrong: %s', (text, code, message) => {
    const { questions, problems, total } = parseQuestionFile(`${text}\n${line()}`);
    expect(total).toBe(2);
    expect(questions.map((question) => question.line)).toEqual([2]);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({ line: 1, code });
    expect(problems[0]!.message).toContain(message);
  });

  it('keep solutions that are no letters', () => {
    const { questions } = parseQuestionFile(
      `${line({ solution: '0.5', problem: 'How long?' })}\n${line({ solution: 'B' })}`,
    );
    expect(questions.map(({ solution }) => solutionLetter(solution))).toEqual(['', 'B']);
    expect(solutionLetter('<answer> C </answer>')).toBe('C');
  });

  it('take problems apart, and are written as they are read', () => {
    expect(splitProblem(problem)).toEqual({
      question: 'why did the boy clap?',
      options: ['to cheer', 'he is cold', 'by accident'],
    });
    expect(splitProblem('Which?\nOptions:\nA. one\nand more\nB. two')).toEqual({
      question: 'Which?',
      options: ['one and more', 'two'],
    });
    expect(splitProblem('How many?')).toEqual({ question: 'How many?', options: [] });
    const { questions } = parseQuestionFile(line());
    expect(parseQuestionFile(writeQuestionFile(questions)).questions).toEqual(questions);
  });
});

describe('videos of a data set', () => {
  const file = (path: string) => ({ name: path.split('/').at(-1)!, webkitRelativePath: path });

  it('are found by the part of the path that both know', () => {
    const right = file('NExTVideo/1164/32.mp4');
    const find = videoFinder([file('NExTVideo/1165/32.mp4'), right, file('NExTVideo/1164/33.mp4')]);
    expect(find('./NextQA/NExTVideo/1164/32.mp4')).toBe(right);
    expect(find('.\\NextQA\\NExTVideo\\1164\\32.mp4')).toBe(right);
    expect(find('./NextQA/NExTVideo/1164/34.mp4')).toBeUndefined();
  });

  it('are found by name among loose files, where one alone has it', () => {
    const loose = { name: '32.mp4' };
    expect(videoFinder([loose])('./a/b/32.mp4')).toBe(loose);
    const find = videoFinder([file('x/32.mp4'), file('y/32.mp4'), file('z/q/32.mp4')]);
    expect(find('./a/32.mp4')).toBeUndefined();
    expect(find('q/32.mp4')).toMatchObject({ webkitRelativePath: 'z/q/32.mp4' });
  });
});

describe('held-out questions', () => {
  const questions = Array.from({ length: 200 }, (_, i) => ({
    id: i,
    video_filename: `./v/${Math.floor(i / 2)}.mp4`,
  }));

  it('are a tenth of the videos, the same in any order, and none is trained on', () => {
    const { training, heldOut } = splitHeldOut(questions);
    const names = (of: typeof questions) => new Set(of.map(({ video_filename }) => video_filename));
    expect(names(heldOut).size).toBe(10);
    expect(heldOut.length + training.length).toBe(200);
    expect([...names(heldOut)].some((name) => names(training).has(name))).toBe(false);
    expect(names(splitHeldOut([...questions].reverse()).heldOut)).toEqual(names(heldOut));
    expect(splitHeldOut(questions.slice(0, 8)).heldOut).toEqual([]);
  });

  it('leave an order for training that has every question once in a pass, another in the next', () => {
    const pass = (seed: number, k: number) =>
      Array.from({ length: 20 }, (_, i) => shuffledIndex(seed, 20 * k + i, 20));
    for (const order of [pass(1, 0), pass(1, 1), pass(2, 0)])
      expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect(pass(1, 0)).toEqual(pass(1, 0));
    expect(pass(1, 1)).not.toEqual(pass(1, 0));
    expect(pass(2, 0)).not.toEqual(pass(1, 0));
  });
});

describe("files of the cold start's traces", () => {
  const turns = [
    { from: 'human', value: '<image>\nWhich?' },
    { from: 'gpt', value: '<think> a </think> <answer> B </answer>' },
  ];
  const read = { message: turns[0]!.value, answer: turns[1]!.value, video_filename: 'a.mp4' };

  it('are read as one list, as in the original, or line by line', () => {
    const rows = [{ video: 'a.mp4', conversations: turns }, { video: 'a.mp4' }, 7];
    const list = parseDemonstrationFile(JSON.stringify(rows));
    expect(list.demonstrations).toEqual([{ line: 1, ...read }]);
    expect(list.problems.map(({ line, message }) => [line, message])).toEqual([
      [2, 'The field "conversations" is missing.'],
      [3, 'This is no object.'],
    ]);
    expect(list.total).toBe(3);
    const lines = parseDemonstrationFile(`${JSON.stringify(rows[0])}\n\n{"video": \n`);
    expect(lines.demonstrations).toEqual([{ line: 1, ...read }]);
    expect(lines.problems).toEqual([{ line: 3, code: 'malformed', message: 'This line is no JSON.' }]);
    expect(parseDemonstrationFile('[1, ').problems).toHaveLength(1);
  });

  it.each([
    [[turns[0]], 'There is no turn from "gpt" with a text.'],
    [[null, turns[1]], 'There is no turn from "human" with a text.'],
    [[{ from: 'human', value: ' ' }, turns[1]], 'There is no turn from "human" with a text.'],
  ])('report what is wrong: %j', (conversations, message) => {
    const { problems } = parseDemonstrationFile(JSON.stringify([{ video: 'a.mp4', conversations }]));
    expect(problems).toEqual([{ line: 1, code: 'missing-field', message }]);
  });

  it('are told from questions', () => {
    expect(isDemonstrationFile(JSON.stringify([{ video: 'a', conversations: [] }]))).toBe(true);
    expect(isDemonstrationFile(line())).toBe(false);
  });
});
