import { accuracy_reward } from '../../grpo/rewards/accuracy-reward';
import { format_reward } from '../../grpo/rewards/format-reward';
import { pythonStrip } from '../../model/python-text';
import type { Trace } from '../../worker/protocol';

/** One question's outcome. Accuracies count a letter that equals the label, read as the original reads it. */
export interface Outcome {
  family: string;
  greedy: boolean;
  sampled: boolean;
  blank: boolean;
  /** Well-formed answers among the greedy and the sampled one, 0 to 2. */
  wellFormed: number;
}

/** What `evaluate --json` prints as its last line. */
export interface EvaluationReport {
  model: string;
  questions: number;
  accuracy_greedy: number;
  accuracy_sampled: number;
  /** Share of well-formed answers, greedy and sampled together. */
  format_rate: number;
  /** Greedy, with black frames in place of the clip. */
  accuracy_blank_frames: number;
  families: Record<string, { questions: number; accuracy_greedy: number }>;
}

/** Whether a text is right by the original's rule for letters, `accuracy_reward`. */
export function isCorrect(text: string, letter: string): boolean {
  return accuracy_reward(pythonStrip(text), `<answer>${letter}</answer>`) === 1;
}

/** Whether a trace has the original's form, `format_reward`: one think block, then one answer block, and nothing else. */
export function isWellFormed(trace: Trace): boolean {
  return format_reward(pythonStrip(trace.text)) > 0;
}

/** Shares over all outcomes, and by question family. */
export function summarise(model: string, outcomes: readonly Outcome[]): EvaluationReport {
  const families: EvaluationReport['families'] = {};
  for (const family of [...new Set(outcomes.map((o) => o.family))].sort()) {
    const own = outcomes.filter((o) => o.family === family);
    families[family] = { questions: own.length, accuracy_greedy: share(own, (o) => Number(o.greedy)) };
  }
  return {
    model,
    questions: outcomes.length,
    accuracy_greedy: share(outcomes, (o) => Number(o.greedy)),
    accuracy_sampled: share(outcomes, (o) => Number(o.sampled)),
    format_rate: share(outcomes, (o) => o.wellFormed / 2),
    accuracy_blank_frames: share(outcomes, (o) => Number(o.blank)),
    families,
  };
}

function share(outcomes: readonly Outcome[], value: (outcome: Outcome) => number): number {
  if (outcomes.length === 0) return 0;
  return outcomes.reduce((sum, outcome) => sum + value(outcome), 0) / outcomes.length;
}
