import type { TokenInfo, TraceSentence } from '../../worker/protocol';
import type { IconName } from '../shared/icon';
import type { SampleState } from '../store/engine-state';

/** Tokens `[start, end)` of an answer. */
export interface Range {
  start: number;
  end: number;
}

export type Aha = NonNullable<TraceSentence['aha']>;

/** A line of the trace: a tag in mono, a sentence, or text that no sentence holds. */
export interface TraceLine extends Range {
  kind: 'tag' | 'sentence' | 'text';
  aha?: Aha;
}

/** Where an answer's tokens are shown. Every token with a visible character is in exactly one place. */
export interface TraceLayout {
  lines: TraceLine[];
  /** `<answer>`, what is inside, and the rest: `</answer>` and whatever follows it. */
  answer?: { open: Range; body: Range; close: Range };
}

const TAG = /<\/?think>|<\|[^|]*\|>|<\/?[a-z]*$/g;
const OPEN = '<answer>';
const CLOSE = '</answer>';

/** Divides an answer's tokens into lines and the answer card, by the trace's sentences and the tags in the text. */
export function layoutTrace({
  tokens,
  count,
  trace,
}: Pick<SampleState, 'tokens' | 'count' | 'trace'>): TraceLayout {
  const sentences = trace?.sentences ?? [];
  const thoughtEnd = Math.min(sentences.at(-1)?.end ?? 0, count);
  const tail = { start: thoughtEnd, end: count };
  const answer = splitAnswer(tokens, tail);
  const lines: TraceLine[] = [];
  let at = 0;
  for (const sentence of sentences) {
    const start = Math.max(at, Math.min(sentence.start, count));
    const end = Math.max(start, Math.min(sentence.end, count));
    lines.push(...gapLines(tokens, { start: at, end: start }));
    if (end > start) {
      lines.push({ kind: 'sentence', start, end, ...(sentence.aha ? { aha: sentence.aha } : {}) });
    }
    at = end;
  }
  lines.push(...gapLines(tokens, { start: at, end: answer?.open.start ?? count }));
  return answer ? { lines, answer } : { lines };
}

/** The text of a range of tokens. */
export function rangeText(tokens: readonly TokenInfo[], { start, end }: Range): string {
  let text = '';
  for (let i = start; i < end; i++) text += tokens[i]!.text;
  return text;
}

function gapLines(tokens: readonly TokenInfo[], range: Range): TraceLine[] {
  const text = rangeText(tokens, range);
  if (text.trim() === '') return [];
  const tags = [...text.matchAll(TAG)]
    .map((match) => ({ start: match.index, end: match.index + match[0].length }))
    .filter((tag) => tag.end > tag.start);
  const lines: TraceLine[] = [];
  let offset = 0;
  for (let i = range.start; i < range.end; i++) {
    const from = offset;
    offset += tokens[i]!.text.length;
    const tag = tags.findIndex((candidate) => candidate.start < offset && candidate.end > from);
    const kind = tag >= 0 ? 'tag' : 'text';
    const last = lines.at(-1);
    // A tag that has just ended and one that follows at once are two lines.
    const joins = last?.kind === kind && (kind === 'text' || tags[tag]!.start < from);
    if (last && (joins || tokens[i]!.text.trim() === '')) last.end = i + 1;
    else lines.push({ kind, start: i, end: i + 1 });
  }
  return lines.filter((line) => rangeText(tokens, line).trim() !== '');
}

function splitAnswer(tokens: readonly TokenInfo[], range: Range): TraceLayout['answer'] {
  const text = rangeText(tokens, range);
  const open = text.indexOf(OPEN);
  if (open < 0) return undefined;
  const close = text.indexOf(CLOSE, open);
  const start = tokenAt(tokens, range, open);
  const body = Math.max(start, tokenAt(tokens, range, open + OPEN.length));
  const end = close < 0 ? range.end : Math.max(body, tokenAt(tokens, range, close));
  return {
    open: { start, end: body },
    body: { start: body, end },
    close: { start: end, end: range.end },
  };
}

/** The first token that ends after a character offset of the range's text. */
function tokenAt(tokens: readonly TokenInfo[], range: Range, offset: number): number {
  let end = 0;
  for (let i = range.start; i < range.end; i++) {
    end += tokens[i]!.text.length;
    if (end > offset) return i;
  }
  return range.end;
}

/** The icon of a marked sentence. */
export function ahaIcon({ kind }: Aha): IconName {
  return kind === 'checks' ? 'loop' : 'swap';
}

/** Why a sentence is marked: the rule's name, and what it looks for where that is known. */
export function ahaReason({ rule, explanation }: Aha): string {
  return `Marked by the text rule “${rule}”${explanation ? `: ${explanation}` : '.'}`;
}
