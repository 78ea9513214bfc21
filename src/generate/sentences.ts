import type { TextSpan } from './trace-parts';

/** A sentence: UTF-16 offsets without the white space around it. */
export interface Sentence extends TextSpan {
  /** False while more text may still belong to it. */
  complete: boolean;
}

// A full stop after these ends no sentence.
const ABBREVIATION = /(?:^|[\s(])(?:e\.g|i\.e|vs|etc|cf|approx|no|fig|mr|mrs|ms|dr|st)$/i;

/**
 * Cuts a stretch of text into sentences: after `.`, `!`, `?` or `…` with white space behind, and at line ends.
 * A number or an option letter in front of its text ("B. moves up", "2. look") stays with it.
 * @param closed whether the stretch is complete; else its last sentence is not.
 */
export function splitSentences(text: string, span: TextSpan, closed: boolean): Sentence[] {
  const sentences: Sentence[] = [];
  let start = span.from;
  const add = (to: number, complete: boolean) => {
    let from = start;
    let end = to;
    while (from < end && isSpace(text[from])) from++;
    while (end > from && isSpace(text[end - 1])) end--;
    if (end > from) sentences.push({ from, to: end, complete });
    start = to;
  };
  for (let i = span.from; i < span.to; i++) {
    const char = text[i]!;
    if (char === '\n') add(i, true);
    else if ('.!?…'.includes(char)) {
      let end = i + 1;
      while (end < span.to && '.!?…"\'”’)]*'.includes(text[end]!)) end++;
      if (end >= span.to) {
        i = end - 1;
      } else if (isSpace(text[end])) {
        if (char !== '.' || end - i > 1 || endsSentence(text, start, i)) add(end, true);
        i = end - 1;
      }
    }
  }
  add(span.to, closed);
  return sentences;
}

/** Whether a full stop at `at` ends the sentence that began at `start`. */
function endsSentence(text: string, start: number, at: number): boolean {
  const before = text.slice(start, at);
  if (ABBREVIATION.test(before)) return false;
  // "2." or "B." alone begins a list item.
  if (/^\s*\(?(?:\d{1,2}|[A-Za-z])$/.test(before)) return false;
  // "The answer is B. moves up": a letter by itself, followed by a small letter.
  return !(/(?:^|\s)[A-Z]$/.test(before) && /^\.\s+[a-z]/.test(text.slice(at, at + 4)));
}

function isSpace(char: string | undefined): boolean {
  return char !== undefined && /\s/.test(char);
}
