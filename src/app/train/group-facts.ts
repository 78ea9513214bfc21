import { solutionLetter, splitProblem } from '../../data/question-file';
import { parseTrace, type Trace } from '../../worker/protocol';
import type { CompletionRow } from '../../worker/training-protocol';
import type { LiveGroup, LiveRun } from './training-state';

/** One answer of the group as its card shows it. */
export interface GroupCard {
  sample: number;
  trace?: Trace;
  tokens: number;
  status: 'waiting' | 'writing' | 'ended' | 'scored';
  row?: CompletionRow;
}

/** A group as the page shows it. */
export interface ShownGroup {
  step: number;
  question: number;
  /** Without its options. */
  text: string;
  /** Letter of the right option, else the solution as it is. */
  label: string;
  cards: GroupCard[];
  /** Mean reward, once the group is scored. */
  mean?: number;
  live: boolean;
}

/** The groups that can be shown: those of the live step, else those of the last step that was scored. */
export function shownGroups(
  live: LiveRun | undefined,
  completions: readonly CompletionRow[],
): readonly ShownGroup[] {
  if (live && live.groups.length > 0) return live.groups.map(liveGroup);
  const step = completions.at(-1)?.step;
  if (step === undefined) return [];
  const rows = completions.slice(completions.findIndex((row) => row.step === step));
  const questions = [...new Set(rows.map(({ question }) => question))];
  return questions.map((question) =>
    questionRows(
      step,
      question,
      rows.filter((row) => row.question === question),
    ),
  );
}

function questionRows(step: number, question: number, group: readonly CompletionRow[]): ShownGroup {
  return {
    step,
    question,
    ...questionOf(group[0]!.prompt, group[0]!.solution),
    cards: group.map((row) => ({
      sample: row.sample,
      trace: traceOf(row),
      tokens: row.tokens,
      status: 'scored' as const,
      row,
    })),
    mean: meanReward(group),
    live: false,
  };
}

function liveGroup({ step, question, prompt, solution, answers, rows }: LiveGroup): ShownGroup {
  return {
    step,
    question,
    ...questionOf(prompt, solution),
    cards: answers.map((answer, sample) => {
      const row = rows?.find((one) => one.sample === sample);
      return {
        sample,
        // What was scored is the whole text.
        ...(row ? { trace: traceOf(row) } : answer ? { trace: answer.trace } : {}),
        tokens: row?.tokens ?? answer?.tokens ?? 0,
        status: row ? 'scored' : !answer ? 'waiting' : answer.done ? 'ended' : 'writing',
        ...(row ? { row } : {}),
      };
    }),
    ...(rows ? { mean: meanReward(rows) } : {}),
    live: true,
  };
}

function questionOf(prompt: string, solution: string): { text: string; label: string } {
  const text = splitProblem(prompt).question.trim();
  return { text: text || prompt, label: solutionLetter(solution) || solution };
}

/** A completion's trace, its aha sentences marked as they were when it was written. */
export function traceOf({ completion, prompt }: Pick<CompletionRow, 'completion' | 'prompt'>): Trace {
  return parseTrace(completion, { options: splitProblem(prompt).options });
}

function meanReward(rows: readonly CompletionRow[]): number {
  return rows.reduce((sum, { reward }) => sum + reward, 0) / rows.length;
}
