import { solutionLetter, splitProblem } from '../../data/question-file';
import { parseTrace, type Trace } from '../../worker/protocol';
import type { CompletionRow, LiveScore } from '../../worker/training-protocol';
import type { LiveGroup, LiveRun } from './training-state';

/** One answer of the group as its card shows it. */
export interface GroupCard {
  sample: number;
  trace?: Trace;
  tokens: number;
  status: 'waiting' | 'writing' | 'ended' | 'scored';
  /** As the trainer scored it; before that as it ended, its advantage among those that have ended. */
  row?: LiveScore;
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
  /** Mean reward of the answers that are scored. */
  mean?: number;
  /** All are scored, and the trainer has their advantages. */
  complete: boolean;
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
    complete: true,
    live: false,
  };
}

function liveGroup({ step, question, prompt, solution, answers, rows }: LiveGroup): ShownGroup {
  const cards = answers.map((answer, sample): GroupCard => {
    const whole = rows?.find((one) => one.sample === sample);
    const row = whole ?? answer?.scored;
    return {
      sample,
      // What was scored is the whole text.
      ...(whole ? { trace: traceOf(whole) } : answer ? { trace: answer.trace } : {}),
      tokens: whole?.tokens ?? answer?.tokens ?? 0,
      status: row ? 'scored' : !answer ? 'waiting' : answer.done ? 'ended' : 'writing',
      ...(row ? { row } : {}),
    };
  });
  const scored = cards.flatMap(({ row }) => row ?? []);
  return {
    step,
    question,
    ...questionOf(prompt, solution),
    cards,
    ...(scored.length > 0 ? { mean: meanReward(scored) } : {}),
    complete: rows !== undefined,
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

function meanReward(rows: readonly Pick<CompletionRow, 'reward'>[]): number {
  return rows.reduce((sum, { reward }) => sum + reward, 0) / rows.length;
}
