import { solutionLetter } from '../data/question-file';
import { answerLetter, parseTrace } from '../generate/think-parser';
import { selfCheck } from './self-check';

/** A row of the completions table: TRL's columns. */
export interface CompletionRow {
  step: number;
  question: number;
  sample: number;
  prompt: string;
  completion: string;
  /** Letter of the right option; the whole solution where it is none. */
  solution: string;
  /** Letter found in the completion. */
  answer?: string;
  rewards: Record<string, number>;
  reward: number;
  advantage: number;
  tokens: number;
  terminated: boolean;
  /** The trace checks itself. */
  aha: boolean;
}

/** One answer of a group, scored. */
export interface Completion {
  tokens: number[];
  /** Without special tokens. */
  text: string;
  /** False where it was cut off at `max_completion_length`. */
  terminated: boolean;
  reward: number;
  /** Of each reward function by the name under which it is logged, unweighted. */
  rewards: Record<string, number>;
  advantage: number;
}

/** What a multiple-choice question says. */
export interface QuestionText {
  /** `question\nOptions:\nA. …`. */
  problem: string;
  /** Texts of the options, in order. */
  options: readonly string[];
  /** `<answer>C</answer>`. */
  solution: string;
}

/** The rows of a group. @param at the step, counted from 1, and the question's number. */
export function completionRows(
  { problem, options, solution }: QuestionText,
  completions: readonly Completion[],
  at: { step: number; question: number },
): CompletionRow[] {
  const letter = solutionLetter(solution);
  return completions.map((completion, sample) => {
    const { text, tokens, terminated, reward, rewards, advantage } = completion;
    const trace = parseTrace(text, { options });
    const answer = trace.answer === undefined ? undefined : answerLetter(trace.answer, options.length);
    return {
      ...at,
      sample,
      prompt: problem,
      completion: text,
      solution: letter || solution,
      ...(answer === undefined ? {} : { answer }),
      rewards,
      reward,
      advantage,
      tokens: tokens.length,
      terminated,
      aha: selfCheck(trace, options, letter).checks,
    };
  });
}
