import { solutionLetter } from '../../data/question-file';
import { answerLetter, parseTrace } from '../../generate/think-parser';
import type { GroupScores } from '../../grpo/rewards/score-group';
import type { Completion, StepResult } from '../../grpo/trainer';
import type { CompletionRow, StepLine } from '../training-protocol';
import type { RunQuestion } from './question-source';
import { selfCheck, selfCheckShares } from './self-checks';

/** A group of a step, scored. */
export interface ScoredGroup {
  question: RunQuestion;
  /** Its number in the run. */
  number: number;
  completions: readonly Completion[];
  scores: GroupScores;
}

/** The rows of the completions table of a group. @param step from 1. */
export function completionRows(
  { question, number, completions, scores }: ScoredGroup,
  step: number,
): CompletionRow[] {
  const { problem, solution, options } = question;
  const letter = solutionLetter(solution);
  return completions.map(({ text, tokens, terminated, reward, advantage }, sample) => {
    const trace = parseTrace(text, { options });
    const answer = trace.answer === undefined ? undefined : answerLetter(trace.answer, options.length);
    return {
      step,
      question: number,
      sample,
      prompt: problem,
      completion: text,
      solution: letter || solution,
      ...(answer ? { answer } : {}),
      rewards: Object.fromEntries(
        Object.entries(scores.functions).map(([name, values]) => [name, values[sample]!]),
      ),
      reward,
      advantage,
      tokens: tokens.length,
      terminated,
      aha: trace.sentences.some(({ aha }) => aha !== undefined),
    };
  });
}

/** A step's line of the log: the trainer's metrics, those of each reward function, and how often traces check themselves. */
export function stepLine(
  metrics: StepResult['metrics'],
  groups: readonly ScoredGroup[],
  epoch: number | undefined,
): StepLine {
  const line: Record<string, number> = { ...metrics };
  for (const name of Object.keys(groups[0]?.scores.functions ?? {})) {
    const values = groups.flatMap(({ scores }) => scores.functions[name]!);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    line[`rewards/${name}/mean`] = mean;
    line[`rewards/${name}/std`] = Math.sqrt(squares / (values.length - 1));
  }
  const checks = groups.flatMap(({ question: { options, solution }, completions }) =>
    completions.map(({ text }) =>
      selfCheck(parseTrace(text, { options }), options, solutionLetter(solution)),
    ),
  );
  Object.assign(line, selfCheckShares(checks));
  if (epoch !== undefined) line.epoch = epoch;
  // NaN has no place in JSON, and TRL leaves it out as well.
  return Object.fromEntries(Object.entries(line).filter(([, value]) => Number.isFinite(value))) as StepLine;
}
