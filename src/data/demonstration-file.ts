import type { DataProblem } from './question-file';

/** A trace to learn, with the message that it answers. */
export interface FileDemonstration {
  /** Line of the file, from 1; its place in the list where the file is one list. */
  line: number;
  /** What the user says, `<image>` in the place of the video. */
  message: string;
  /** The whole answer, `<think>` and `<answer>` included. */
  answer: string;
  video_filename: string;
}

/** A file as far as its text goes. */
export interface ParsedDemonstrations {
  demonstrations: FileDemonstration[];
  problems: DataProblem[];
  total: number;
}

/** Whether a text has the form of the cold start's data rather than that of questions. */
export function isDemonstrationFile(text: string): boolean {
  return /"conversations"\s*:/.test(text.slice(0, 65_536));
}

/**
 * Reads the cold start's data (`dataset_coldstart.py`): objects `{"video", "conversations": [{"from": "human", "value"},
 * {"from": "gpt", "value"}]}`, as one JSON list, as in the original, or one a line. The first exchange counts.
 */
export function parseDemonstrationFile(text: string): ParsedDemonstrations {
  const bare = text.replace(/^\uFEFF/, '').trim();
  const problems: DataProblem[] = [];
  const demonstrations: FileDemonstration[] = [];
  const rows = bare.startsWith('[') ? listRows(bare, problems) : lineRows(bare, problems);
  for (const { raw, line } of rows) {
    const read = demonstrationOf(raw);
    if (typeof read === 'string') problems.push({ line, code: 'missing-field', message: read });
    else demonstrations.push({ line, ...read });
  }
  problems.sort((a, b) => a.line - b.line);
  return { demonstrations, problems, total: demonstrations.length + problems.length };
}

interface Row {
  line: number;
  raw: unknown;
}

function listRows(text: string, problems: DataProblem[]): Row[] {
  try {
    return (JSON.parse(text) as unknown[]).map((raw, i) => ({ line: i + 1, raw }));
  } catch {
    problems.push({ line: 1, code: 'malformed', message: 'The file begins with a list and is no JSON.' });
    return [];
  }
}

function lineRows(text: string, problems: DataProblem[]): Row[] {
  return text.split('\n').flatMap((own, i): Row[] => {
    if (own.trim() === '') return [];
    try {
      return [{ line: i + 1, raw: JSON.parse(own) }];
    } catch {
      problems.push({ line: i + 1, code: 'malformed', message: 'This line is no JSON.' });
      return [];
    }
  });
}

/** A row's demonstration, or a sentence on what it lacks. */
function demonstrationOf(raw: unknown): Omit<FileDemonstration, 'line'> | string {
  if (typeof raw !== 'object' || raw === null) return 'This is no object.';
  const { video, conversations } = raw as { video?: unknown; conversations?: unknown };
  if (typeof video !== 'string' || video === '') return 'The field "video" is missing.';
  if (!Array.isArray(conversations)) return 'The field "conversations" is missing.';
  const said = (from: string) =>
    (conversations as { from?: unknown; value?: unknown }[]).find((turn) => turn?.from === from)?.value;
  const message = said('human');
  const answer = said('gpt');
  if (typeof message !== 'string' || message.trim() === '')
    return 'There is no turn from "human" with a text.';
  if (typeof answer !== 'string' || answer.trim() === '') return 'There is no turn from "gpt" with a text.';
  return { message, answer, video_filename: video };
}
