import type { AdamW, OptimiserState } from '../../grpo/adamw';
import type { CompletionRow } from '../../grpo/completion-row';
import type { DecoderSteps } from '../../model/decoder-steps';
import type { EngineEvent } from '../protocol';
import type { RunConfig, StepLine, TrainingEvent } from '../training-protocol';
import type { QuestionModel, QuestionSource } from './question-source';
import type { ScoreCalls } from './score-calls';
import type { PassedOver } from './video-tokens';

/** What a run is made with. */
export interface RunUse extends QuestionModel {
  source: QuestionSource;
  calls: ScoreCalls;
  post: (event: EngineEvent | TrainingEvent) => void;
  /** Before anything of the run is compiled, so that kernels with wrong values are off. */
  testKernels: () => Promise<void>;
}

/** What a stage knows of its run. */
export interface StageContext {
  run: string;
  use: RunUse;
  /** As it is now: some settings change while a run goes on. */
  config: () => RunConfig;
  /** Ends a step before its update. */
  signal: AbortSignal;
  post: (event: TrainingEvent) => void;
  /** Tells of questions that were passed over. */
  passedOver: (passed: readonly PassedOver[]) => Promise<void>;
  /** How often a question, by its number in the run, was left out on the user's word. */
  skips: (question: number) => number;
  progress: (label: string, done: number, total: number) => void;
}

/** What a step gave. */
export interface TakenStep {
  line: StepLine;
  rows: CompletionRow[];
}

/** What a run's steps do: GRPO, or the cold start. */
export interface RunStage {
  readonly trainer: {
    /** Steps done. */
    readonly step: number;
    readonly num_tokens: number;
    readonly optimiser: AdamW;
    restore(saved: { step: number; num_tokens: number; optimiser: OptimiserState }): void;
  };
  /** The decoder with the adapter. */
  readonly steps: DecoderSteps;
  /** Takes the next step. @throws the signal's reason when aborted: the step has not taken place then. */
  take(): Promise<TakenStep>;
  /** Frees what the stage made; the adapter stays with its owner. */
  destroy(): void;
}

/** The log's count of questions in whose place others were taken. */
export function skippedQuestions(given: readonly { passed?: readonly PassedOver[] }[]): {
  skipped_questions: number;
} {
  return { skipped_questions: given.reduce((sum, { passed }) => sum + (passed?.length ?? 0), 0) };
}
