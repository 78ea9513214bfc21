import { PYTHON_SPACE, pythonStrip } from '../../model/prompt';
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

/**
 * The original's accuracy rule for letters (`accuracy_reward`): what stands in `<answer>`, stripped, equals the letter
 * or starts with it; without a tag on one line the whole stripped text counts.
 */
export function isCorrect(text: string, letter: string): boolean {
  const stripped = pythonStrip(text);
  const answer = pythonStrip(/<answer>([^\n]*?)<\/answer>/.exec(stripped)?.[1] ?? stripped);
  return answer !== '' && (answer === letter || answer.startsWith(letter));
}

const WELL_FORMED = new RegExp(`^<think>[^]*?</think>(?:${PYTHON_SPACE})?<answer>[^]*?</answer>$`);

/** The original's format rule: one think block, then one answer block, and nothing else. */
export function isWellFormed(trace: Trace): boolean {
  const text = pythonStrip(trace.text);
  const tags = ['<think>', '</think>', '<answer>', '</answer>'];
  return WELL_FORMED.test(text) && tags.every((tag) => text.split(tag).length === 2);
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
