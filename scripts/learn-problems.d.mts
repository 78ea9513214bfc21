import type { TrainingReport } from '../src/cli/train/page';

/** Held-out questions before and after. */
export const QUESTIONS: number;

/** What the report of a run of the toy preset (the last line of `npm run train`) lacks of the proof, a sentence each. */
export function learnProblems(report: TrainingReport): string[];
