import { matchAhaRule } from './aha-rules';
import { concludedOption } from './conclusions';
import { splitSentences } from './sentences';
import type { ParsedSentence, ParsedTrace } from './trace';
import { splitTrace, type TextSpan } from './trace-parts';

/**
 * Takes a trace apart while it grows: add the text of every token as it comes, `end()` once it is complete.
 * Every trace looks at the whole text again, a few thousand characters at most: take one where it is shown.
 */
export class ThinkParser {
  private text = '';
  private ended = false;
  /** End offset of every token. */
  private readonly tokenEnds: number[] = [];
  private readonly options: readonly string[];

  /** @param options texts of a multiple-choice question's options: with them, changes of conclusion are marked. */
  constructor(options: readonly string[] = []) {
    this.options = options;
  }

  /** Adds the text of one token ('' where it only continues a character). */
  add(text: string): void {
    this.text += text;
    this.tokenEnds.push(this.text.length);
  }

  /** `add`, and the trace as it then stands. */
  push(text: string): ParsedTrace {
    this.add(text);
    return this.trace();
  }

  /** Marks the text as complete. `rest` is what a token stream still held; it belongs to the last token. */
  end(rest = ''): ParsedTrace {
    this.text += rest;
    if (this.tokenEnds.length) this.tokenEnds[this.tokenEnds.length - 1] = this.text.length;
    this.ended = true;
    return this.trace();
  }

  /** The trace as it stands. */
  trace(): ParsedTrace {
    const parsed = parseTrace(this.text, { ended: this.ended, options: this.options });
    for (const sentence of parsed.sentences) {
      sentence.start = this.tokenEnds.findIndex((end) => end > sentence.from);
      const last = this.tokenEnds.findIndex((end) => end >= sentence.to);
      sentence.end = (last < 0 ? this.tokenEnds.length - 1 : last) + 1;
    }
    return parsed;
  }
}

/** Options of `parseTrace`. */
export interface ParseOptions {
  /** False while the text is still growing. Default true. */
  ended?: boolean;
  /** Option texts of the question, in order. */
  options?: readonly string[];
}

/** Takes a whole text apart. Token spans of the sentences are 0: a text alone has no tokens (see `ThinkParser`). */
export function parseTrace(text: string, { ended = true, options = [] }: ParseOptions = {}): ParsedTrace {
  const parts = splitTrace(text, ended);
  const slice = (span: TextSpan) => text.slice(span.from, span.to).trim();
  const closed = ended || (parts.phase !== 'before' && parts.phase !== 'think');
  const sentences: ParsedSentence[] = parts.think
    ? splitSentences(text, parts.think, closed).map((sentence) => ({
        ...sentence,
        text: text.slice(sentence.from, sentence.to),
        start: 0,
        end: 0,
      }))
    : [];
  markAha(sentences, options);
  return {
    phase: parts.phase,
    text,
    think: parts.think ? slice(parts.think) : '',
    ...(parts.answer ? { answer: slice(parts.answer) } : {}),
    before: slice(parts.before),
    between: slice(parts.between),
    after: slice(parts.after),
    sentences,
    problems: parts.problems,
  };
}

function markAha(sentences: ParsedSentence[], options: readonly string[]): void {
  let concluded: number | undefined;
  for (const sentence of sentences) {
    if (!sentence.complete) continue;
    const now = concludedOption(sentence.text, options);
    const rule = matchAhaRule(sentence.text);
    if (now !== undefined && concluded !== undefined && now !== concluded) {
      sentence.aha = {
        kind: 'corrects',
        rule: 'conclusion-changes',
        label: `${options[concluded]} → ${options[now]}`,
        explanation: 'The conclusion is another one than before.',
      };
    } else if (rule) {
      sentence.aha = {
        kind: 'checks',
        rule: rule.name,
        label: 'checks itself',
        explanation: rule.explanation,
      };
    }
    if (now !== undefined) concluded = now;
  }
}

/**
 * The letter that an answer names, by the original's evaluation rule: its first character where that is a choice
 * (in either case), else the first choice that stands in it as `(X)` or `(x)`; undefined where the original would guess.
 * @param choices how many options there are (A, B, ...).
 */
export function answerLetter(answer: string, choices: number): string | undefined {
  const letters = Array.from({ length: choices }, (_, i) => String.fromCharCode(65 + i));
  const first = answer.trim().charAt(0).toUpperCase();
  if (letters.includes(first)) return first;
  return letters.find(
    (letter) => answer.includes(`(${letter})`) || answer.includes(`(${letter.toLowerCase()})`),
  );
}
