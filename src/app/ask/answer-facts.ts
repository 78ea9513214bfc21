import type { TokenInfo } from '../../worker/protocol';
import { LETTERS } from '../store/draft';
import type { AnswerState, SampleState } from '../store/engine-state';
import type { Range } from './trace-layout';

/** A sample and the answer that it belongs to. */
export interface Pair {
  answer: AnswerState;
  sample: SampleState;
}

/**
 * The answer's text, once there is some: what `<answer>` holds, or everything where no tags were asked for.
 * Undefined as long as there is none.
 */
export function answerText({ answer, sample: { trace } }: Pair): string | undefined {
  return (trace?.answer ?? (answer.question.reasoning ? undefined : trace?.text))?.trim() || undefined;
}

/** Sentences on what is malformed in an answer that has ended. None for the direct prompt, which asks for no tags. */
export function traceProblems({ answer, sample }: Pair): string[] {
  const ended = sample.status === 'done' && sample.reason !== 'stopped';
  return ended && answer.question.reasoning ? (sample.trace?.problems ?? []) : [];
}

/** The option an answer names: its letter and text. Undefined for free text, and for a letter that has no option. */
export function chosenOption(pair: Pair): { letter: string; text: string } | undefined {
  const { options } = pair.answer.question;
  const letter = answerText(pair)
    ?.match(/^([A-E])(?![a-z])/i)?.[1]
    ?.toUpperCase();
  const index = LETTERS.indexOf(letter as (typeof LETTERS)[number]);
  return letter && index >= 0 && index < options.length ? { letter, text: options[index]! } : undefined;
}

/** Whether the answer is the labelled one; undefined where that is not known (yet). */
export function isCorrect(pair: Pair): boolean | undefined {
  if (pair.answer.label === undefined || pair.sample.status !== 'done') return undefined;
  return chosenOption(pair)?.letter === pair.answer.label;
}

/** A letter's probability, or where it was not among the recorded tokens, the one that it is below. */
export interface LetterProbability {
  prob?: number;
  below?: number;
}

/**
 * The probabilities of the letters where the answer's letter was drawn: what the token's recorded alternatives say.
 * A letter that is not among them is below the least of them. Undefined where no token of the body is that letter.
 */
export function letterProbabilities(
  tokens: readonly TokenInfo[],
  body: Range,
  letter: string,
  count: number,
): LetterProbability[] | undefined {
  let token: TokenInfo | undefined;
  for (let i = body.start; i < body.end && !token; i++)
    if (tokens[i]!.text.trim() === letter) token = tokens[i];
  if (!token) return undefined;
  const { text, prob, alternatives } = token;
  return LETTERS.slice(0, count).map((name) => {
    if (name === letter) return { prob };
    // " A" and "A" are two tokens; only the spelling that was drawn here competes.
    const other = alternatives.find((candidate) => candidate.text === text.replace(letter, name));
    if (other) return { prob: other.prob };
    return alternatives.length > 0 ? { below: Math.min(...alternatives.map((one) => one.prob)) } : {};
  });
}

/** What the middle column is about now, as its heading. */
export function answerHeading({ answer, sample }: Pair): {
  title: string;
  chip?: { tone: string; text: string };
} {
  switch (sample.status) {
    case 'prefill':
      return { title: answer.fork ? 'Going back to the fork' : 'Reading the question' };
    case 'streaming': {
      const writing =
        sample.trace?.phase === 'answer' || sample.trace?.phase === 'done' || !answer.question.reasoning;
      return { title: writing ? 'Answering' : 'Thinking', chip: { tone: 'ok', text: 'streaming' } };
    }
    case 'failed':
      return { title: 'Interrupted', chip: { tone: 'err', text: 'stopped' } };
    case 'done':
      if (sample.reason === 'stopped') return { title: 'Stopped', chip: { tone: 'n', text: 'by you' } };
      return sample.reason === 'length'
        ? { title: 'Cut off', chip: { tone: 'warn', text: 'token limit' } }
        : { title: 'Answer' };
  }
}

/** A sentence on why the answer ended, where that is not simply its end. */
export function endingSentence({ answer, sample }: Pair): string | undefined {
  if (sample.status !== 'done') return undefined;
  if (sample.reason === 'stopped') return `Stopped by you at token ${sample.count}.`;
  if (sample.reason === 'length') {
    const { fork, settings } = answer;
    const written = fork ? `${sample.count - fork.position - 1} new tokens` : `${sample.count} tokens`;
    return `Cut off at ${written}: the limit is ${settings.max_new_tokens}. Raise Max tokens to let it finish.`;
  }
  return undefined;
}
