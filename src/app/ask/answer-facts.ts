import type { TokenInfo } from '../../worker/protocol';
import { LETTERS } from '../store/draft';
import type { AnswerState } from '../store/engine-state';
import type { Range } from './trace-layout';

/**
 * The answer's text, once there is some: what `<answer>` holds, or everything where no tags were asked for.
 * Undefined as long as there is none.
 */
export function answerText(answer: AnswerState): string | undefined {
  const { question, trace } = answer;
  return (trace?.answer ?? (question.reasoning ? undefined : trace?.text))?.trim() || undefined;
}

/** Sentences on what is malformed in a finished answer. None for the direct prompt, which asks for no tags. */
export function traceProblems(answer: AnswerState): string[] {
  const finished = answer.status === 'done' && answer.reason === 'eos';
  return finished && answer.question.reasoning ? (answer.trace?.problems ?? []) : [];
}

/** The option an answer names: its letter and text. Undefined for free text, and for a letter that has no option. */
export function chosenOption(answer: AnswerState): { letter: string; text: string } | undefined {
  const { options } = answer.question;
  const letter = answer.trace?.answer
    ?.trim()
    .match(/^([A-E])(?![a-z])/i)?.[1]
    ?.toUpperCase();
  const index = LETTERS.indexOf(letter as (typeof LETTERS)[number]);
  return letter && index >= 0 && index < options.length ? { letter, text: options[index]! } : undefined;
}

/** Whether the answer is the labelled one; undefined where that is not known (yet). */
export function isCorrect(answer: AnswerState): boolean | undefined {
  if (answer.label === undefined || answer.status !== 'done') return undefined;
  return chosenOption(answer)?.letter === answer.label;
}

/**
 * The probabilities of the letters where the answer's letter was drawn: what the token's recorded alternatives say.
 * A letter that is not among them has none. Undefined where no token of the body is that letter.
 */
export function letterProbabilities(
  tokens: readonly TokenInfo[],
  body: Range,
  letter: string,
  count: number,
): (number | undefined)[] | undefined {
  const token = tokens.slice(body.start, body.end).find((candidate) => candidate.text.trim() === letter);
  if (!token) return undefined;
  return LETTERS.slice(0, count).map((name) => {
    if (name === letter) return token.prob;
    // " A" and "A" are two tokens; only the spelling that was drawn here competes.
    return token.alternatives.find((other) => other.text === token.text.replace(letter, name))?.prob;
  });
}

/** What the middle column is about now, as its heading. */
export function answerHeading(answer: AnswerState): { title: string; chip?: { tone: string; text: string } } {
  switch (answer.status) {
    case 'prefill':
      return { title: 'Reading the question' };
    case 'streaming': {
      const writing =
        answer.trace?.phase === 'answer' || answer.trace?.phase === 'done' || !answer.question.reasoning;
      return { title: writing ? 'Answering' : 'Thinking', chip: { tone: 'ok', text: 'streaming' } };
    }
    case 'failed':
      return { title: 'Interrupted', chip: { tone: 'err', text: 'stopped' } };
    case 'done':
      if (answer.reason === 'stopped') return { title: 'Stopped', chip: { tone: 'n', text: 'by you' } };
      return answer.reason === 'length'
        ? { title: 'Cut off', chip: { tone: 'warn', text: 'token limit' } }
        : { title: 'Answer' };
  }
}

/** A sentence on why the answer ended, where that is not simply its end. */
export function endingSentence(answer: AnswerState): string | undefined {
  if (answer.status !== 'done') return undefined;
  if (answer.reason === 'stopped') return `Stopped by you at token ${answer.tokens.length}.`;
  if (answer.reason === 'length') {
    return `Cut off at ${answer.tokens.length} tokens: the limit is ${answer.settings.max_new_tokens}. Raise Max tokens to let it finish.`;
  }
  return undefined;
}
