/**
 * The messages about models on disk and about what a model would take, between the page and the engine's worker.
 * Beside those of protocol.ts on the same port; errors are `error` events of the scope `model`.
 */
import type { PlannedRun } from '../grpo/memory-plan';
import type { AnswerSize, ModelPlan, PrecisionPlan } from '../model/model-plan';
import type { PlanPart, PlanPieces, StoredPart, StoredPlan, TrainingPlan } from '../model/plan-parts';
import type { ModelPart, PrecisionPreset } from '../model/precision';
import type { KeptModel } from '../storage/kept-models';
import type { ModelSource } from './protocol';

export { largestTensor } from '../gpu/largest-tensor';
export { precisionLine, storedPlan } from '../model/plan-parts';
export type {
  AnswerSize,
  KeptModel,
  ModelPart,
  ModelPlan,
  PlanPart,
  PlanPieces,
  PrecisionPlan,
  PrecisionPreset,
  StoredPart,
  StoredPlan,
  TrainingPlan,
};

/** What the browser offers this page on disk; undefined where it does not say. */
export interface StorageRoom {
  usage: number;
  quota: number;
  /** The browser keeps the files until the user deletes them. */
  persisted: boolean;
}

/** What of a run decides its memory. */
export type TrainingSize = Pick<PlannedRun, 'grpo' | 'lora'>;

/** Page -> engine. */
export type ModelRequest =
  /** -> `kept-models`. */
  | { type: 'list-models'; id: number }
  /** -> `kept-models`. */
  | { type: 'delete-model'; id: number; model: string }
  /**
   * Reads a checkpoint's headers -> `model-plan`, and once more where there is more to say: what training takes, how
   * fast this adapter is. Nothing is loaded.
   */
  | {
      type: 'plan-model';
      id: number;
      source: ModelSource;
      size: AnswerSize;
      /** A run whose memory is planned too. */
      training?: TrainingSize;
    }
  /** Ends the load that is under way; the model before it stays, and so does what was kept, unless it is discarded. */
  | { type: 'cancel-load'; discard?: true };

/** Engine -> page. */
export type ModelEvent =
  | { type: 'kept-models'; id: number; models: KeptModel[]; room?: StorageRoom }
  | { type: 'model-plan'; id: number; plan: ModelPlan; room?: StorageRoom }
  /** A model that is ready was not kept, or not wholly: a sentence. */
  | { type: 'not-kept'; id: number; message: string };
