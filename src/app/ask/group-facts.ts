import { LETTERS } from '../store/draft';
import type { AnswerState } from '../store/engine-state';
import { answerText, chosenOption, isCorrect } from './answer-facts';

/** What a group of answers comes to, over those that have ended. */
export interface GroupFacts {
  ended: number;
  /** How many match the label; undefined where none is known. */
  right?: number;
  /** Letters of the question's options and "none", each with how many answers gave it. */
  votes: { letter: string; count: number }[];
  /** The letter most answers gave, with its option; undefined where none gave one, or two are equally frequent. */
  majority?: { letter: string; text: string };
  /** Of the rewards that are there, their number, mean and standard deviation (n - 1; undefined for fewer than two). */
  rewards?: { mean: number; std?: number; highest: number };
}

/** Counts what the answers of a group say. */
export function groupFacts(answer: AnswerState): GroupFacts {
  const pairs = answer.samples
    .filter(({ status }) => status === 'done')
    .map((sample) => ({ answer, sample }));
  const given = pairs.map((pair) => chosenOption(pair)?.letter);
  const letters: readonly string[] = LETTERS.slice(0, answer.question.options.length);
  const votes = letters.map((letter) => ({ letter, count: given.filter((one) => one === letter).length }));
  if (letters.length > 0)
    votes.push({ letter: 'none', count: given.filter((one) => one === undefined).length });
  const best = Math.max(0, ...votes.slice(0, -1).map(({ count }) => count));
  const leaders = best > 0 ? votes.slice(0, -1).filter(({ count }) => count === best) : [];
  const rewards = answer.samples.flatMap(({ reward }) => (reward ? [reward.reward] : []));
  const leader = leaders.length === 1 ? leaders[0]!.letter : undefined;
  return {
    ended: pairs.length,
    ...(answer.label === undefined ? {} : { right: pairs.filter(isCorrect).length }),
    votes,
    ...(leader
      ? { majority: { letter: leader, text: answer.question.options[letters.indexOf(leader)]! } }
      : {}),
    ...(rewards.length > 0 ? { rewards: spread(rewards) } : {}),
  };
}

function spread(values: readonly number[]): NonNullable<GroupFacts['rewards']> {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const highest = Math.max(...values);
  if (values.length < 2) return { mean, highest };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, highest, std: Math.sqrt(squares / (values.length - 1)) };
}

/** Indices of a group's answers as they are shown: in their order, or by reward, best first, those without one last. */
export function groupOrder(answer: AnswerState, sorted: boolean): number[] {
  const order = answer.samples.map((_, index) => index);
  if (!sorted) return order;
  const reward = (index: number) => answer.samples[index]!.reward?.reward ?? Number.NEGATIVE_INFINITY;
  return order.sort((a, b) => (reward(a) === reward(b) ? a - b : reward(b) - reward(a)));
}

/** Why an answer of a group ended or is not there, as a chip; undefined where it simply ended. */
export function endingChip(
  sample: AnswerState['samples'][number],
): { tone: string; text: string } | undefined {
  if (sample.status === 'failed') return { tone: 'err', text: 'interrupted' };
  if (sample.status !== 'done') return undefined;
  if (sample.reason === 'length') return { tone: 'neg', text: 'cut off' };
  return sample.reason === 'stopped' ? { tone: 'n', text: 'stopped' } : undefined;
}

/** What stands in an answer's place where it has none. */
export function missingAnswer(
  answer: AnswerState,
  sample: AnswerState['samples'][number],
): string | undefined {
  if (answerText({ answer, sample })) return undefined;
  if (sample.status === 'prefill' || sample.status === 'streaming') return 'no answer yet';
  return 'no answer';
}

/** The name of the adapter that writes a sample; undefined where only the base answers. */
export function adapterOf({ adapters, samples }: AnswerState, index: number): string | undefined {
  return adapters?.[Math.floor((index * adapters.length) / samples.length)];
}

/** How many answers were asked for, of each adapter where some answer. */
export function askedTimes({ adapters, samples }: AnswerState): number {
  return samples.length / (adapters?.length ?? 1);
}
