/** Where a growing text is: before `<think>`, inside it, between the two parts, inside `<answer>`, at the end. */
export type TracePhase = 'before' | 'think' | 'between' | 'answer' | 'done';

/** A stretch of a text: UTF-16 offsets `[from, to)`. */
export interface TextSpan {
  from: number;
  to: number;
}

/** A text cut into its parts. Nothing of it is dropped: what is outside of the tags is in `before`, `between`, `after`. */
export interface TraceParts {
  phase: TracePhase;
  before: TextSpan;
  think: TextSpan | undefined;
  between: TextSpan;
  answer: TextSpan | undefined;
  after: TextSpan;
  /** Sentences on what is malformed. */
  problems: string[];
}

const THINK = '<think>';
const THINK_END = '</think>';
const ANSWER = '<answer>';
const ANSWER_END = '</answer>';
const TAGS = [THINK, THINK_END, ANSWER, ANSWER_END];

/**
 * Cuts `... <think> ... </think> ... <answer> ... </answer> ...` into parts, by the first tag of each kind.
 * @param ended false while the text is still growing: an unfinished tag at its end is then held back, and only what
 * more text cannot mend counts as a problem.
 */
export function splitTrace(text: string, ended: boolean): TraceParts {
  const end = ended ? text.length : text.length - unfinishedTag(text);
  const find = (tag: string, from: number) => {
    const at = text.indexOf(tag, from);
    return at < 0 || at + tag.length > end ? undefined : at;
  };
  const problems: string[] = [];
  const thinkAt = find(THINK, 0);
  const think = thinkAt === undefined ? undefined : { from: thinkAt + THINK.length, to: end };
  let position = think ? think.from : 0;
  let phase: TracePhase = think ? 'think' : 'before';
  let between: TextSpan = { from: end, to: end };
  if (think) {
    const close = find(THINK_END, think.from);
    const answerAt = find(ANSWER, think.from);
    if (close !== undefined) {
      think.to = close;
      position = close + THINK_END.length;
      phase = 'between';
    } else if (answerAt !== undefined) {
      think.to = answerAt;
      position = answerAt;
      phase = 'between';
      problems.push('The thinking part is not closed: </think> is missing before <answer>.');
    } else if (ended) {
      problems.push('The thinking part is not closed: the text ends inside it.');
    }
  }
  const answerAt = phase === 'think' ? undefined : find(ANSWER, position);
  let answer: TextSpan | undefined;
  let after: TextSpan = { from: end, to: end };
  if (phase === 'between') between = { from: position, to: answerAt ?? end };
  if (answerAt !== undefined) {
    phase = 'answer';
    answer = { from: answerAt + ANSWER.length, to: end };
    const close = find(ANSWER_END, answer.from);
    if (close !== undefined) {
      answer.to = close;
      after = { from: close + ANSWER_END.length, to: end };
      phase = 'done';
    } else if (ended) problems.push('The answer is not closed: </answer> is missing.');
  }
  const before = { from: 0, to: thinkAt ?? answerAt ?? end };
  judge(text, { before, think, between, answer, after }, ended, problems);
  return { phase: ended ? 'done' : phase, before, think, between, answer, after, problems };
}

function judge(
  text: string,
  parts: Pick<TraceParts, 'before' | 'think' | 'between' | 'answer' | 'after'>,
  ended: boolean,
  problems: string[],
): void {
  const has = (span: TextSpan) => text.slice(span.from, span.to).trim() !== '';
  const { before, think, between, answer, after } = parts;
  if (think) {
    if (has(before)) problems.push('There is text before <think>.');
  } else if (answer) problems.push('There is no <think> before the answer.');
  else if (ended && has(before)) problems.push('The text has neither <think> nor <answer>.');
  else if (ended) problems.push('The text is empty.');
  if (think && tagsIn(text, think)) problems.push('There are tags inside the thinking part.');
  if (think && has(between)) problems.push('There is text between </think> and <answer>.');
  if (answer && tagsIn(text, answer)) problems.push('There are tags inside the answer.');
  if (answer && has(after)) problems.push('There is text after </answer>.');
  if (answer && ended && !has(answer)) problems.push('The answer is empty.');
  if (ended && think && !answer) problems.push('There is no <answer> in the text.');
}

function tagsIn(text: string, span: TextSpan): boolean {
  const part = text.slice(span.from, span.to);
  return TAGS.some((tag) => part.includes(tag));
}

/** Length of a proper beginning of a tag at the end of the text. */
function unfinishedTag(text: string): number {
  const at = text.lastIndexOf('<');
  if (at < 0) return 0;
  const rest = text.slice(at);
  return TAGS.some((tag) => tag !== rest && tag.startsWith(rest)) ? rest.length : 0;
}
