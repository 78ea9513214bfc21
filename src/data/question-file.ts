import { letterOf } from './toy';

/** What is wrong with a line of a file. `line` counts from 1. */
export interface DataProblem {
  line: number;
  code: 'malformed' | 'missing-field' | 'bad-solution' | 'missing-video' | 'unreadable-video' | 'too-long';
  /** A sentence for the user. */
  message: string;
}

/** A question of a file in the original's format. */
export interface FileQuestion {
  /** Line of the file, from 1. */
  line: number;
  /** `question\nOptions:\nA. …`. */
  problem: string;
  /** `<answer>C</answer>`. */
  solution: string;
  video_filename: string;
}

/** A file as far as its text goes: videos are not looked at. */
export interface ParsedQuestions {
  questions: FileQuestion[];
  problems: DataProblem[];
  /** Lines that are not empty. */
  total: number;
}

const FIELDS = ['problem', 'solution', 'video_filename'] as const;
/** Python's `.` stops at "\n" alone, and so does the reward's search for the tag. */
const SOLUTION = /<answer>([^\n]*?)<\/answer>/;

/**
 * Reads a JSONL file in the format of TinyLLaVA-Video-R1's GRPO data: an object a line, with `problem`, `solution` and
 * `video_filename`; other fields are passed over. Empty lines do not count. What is wrong is reported by line, and the
 * other lines are used.
 */
export function parseQuestionFile(text: string): ParsedQuestions {
  const questions: FileQuestion[] = [];
  const problems: DataProblem[] = [];
  let total = 0;
  for (const [i, raw] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const trimmed = raw.trim();
    if (trimmed === '') continue;
    total += 1;
    const read = parseLine(trimmed, i + 1);
    if ('code' in read) problems.push(read);
    else questions.push(read);
  }
  return { questions, problems, total };
}

function parseLine(text: string, line: number): FileQuestion | DataProblem {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    return {
      line,
      code: 'malformed',
      message:
        line === 1 && text.startsWith('[')
          ? 'The file begins with a list; each line must be a JSON object of its own (JSONL).'
          : 'This line is no JSON.',
    };
  }
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw))
    return { line, code: 'malformed', message: 'This line is JSON, but not an object in braces.' };
  const fields = raw as Record<string, unknown>;
  for (const name of FIELDS) {
    const value = fields[name];
    if (value === undefined || value === null)
      return { line, code: 'missing-field', message: `The field "${name}" is missing.` };
    if (typeof value !== 'string' || value.trim() === '')
      return {
        line,
        code: 'missing-field',
        message: `The field "${name}" must be a text that is not empty.`,
      };
  }
  const { problem, solution, video_filename } = fields as Record<(typeof FIELDS)[number], string>;
  const wrong = solutionProblem(problem, solution);
  return wrong ? { line, code: 'bad-solution', message: wrong } : { line, problem, solution, video_filename };
}

function solutionProblem(problem: string, solution: string): string | undefined {
  const tagged = SOLUTION.exec(solution);
  if (!tagged && /<\/?answer>/.test(solution))
    return 'The solution has an <answer> tag without its other half on the same line.';
  const answer = (tagged?.[1] ?? solution).trim();
  if (answer === '') return 'The solution has nothing between its <answer> tags.';
  const { options } = splitProblem(problem);
  if (options.length > 0 && /^[A-Z]$/.test(answer) && answer.charCodeAt(0) - 65 >= options.length)
    return `The solution is ${answer}, and the options end at ${letterOf(options.length - 1)}.`;
  return undefined;
}

/** The right option's letter where the solution is one, as the reward reads it; '' for any other solution. */
export function solutionLetter(solution: string): string {
  const answer = (SOLUTION.exec(solution)?.[1] ?? solution).trim();
  return /^[A-Z]$/.test(answer) ? answer : '';
}

/** Takes `question\nOptions:\nA. …\nB. …` apart; a problem without such options is all question. */
export function splitProblem(problem: string): { question: string; options: string[] } {
  const match = /^(.*?)\r?\nOptions:\r?\n(.*)$/s.exec(problem);
  if (!match) return { question: problem, options: [] };
  const options: string[] = [];
  for (const line of match[2]!.split(/\r?\n/)) {
    const option = new RegExp(`^\\s*\\(?${letterOf(options.length)}[.):]\\s*(.*)$`).exec(line);
    if (option) options.push(option[1]!.trim());
    else if (options.length > 0 && line.trim() !== '') options.push(`${options.pop()} ${line.trim()}`);
  }
  return { question: match[1]!.trim(), options };
}

/** The longest of some questions, by characters; undefined of none. */
export function longestProblem(questions: readonly Pick<FileQuestion, 'problem'>[]): string | undefined {
  return questions.reduce<string | undefined>(
    (longest, { problem }) => (problem.length > (longest?.length ?? -1) ? problem : longest),
    undefined,
  );
}

/** Writes questions in the same format, a line each. */
export function writeQuestionFile(questions: readonly Omit<FileQuestion, 'line'>[]): string {
  return questions
    .map(({ problem, solution, video_filename }) => JSON.stringify({ problem, solution, video_filename }))
    .map((line) => `${line}\n`)
    .join('');
}
