import { createStore, type StoreApi } from 'zustand/vanilla';
import type { AnswerSize, ModelRequest, TrainingSize } from '../../worker/model-protocol';
import {
  type DeskAction,
  type DeskNews,
  type DeskState,
  INITIAL_DESK_STATE,
  type PlannedModel,
  reduceDesk,
} from '../store/desk-state';

/** What the desk takes of the engine's client. */
export interface DeskConnection {
  newId(): number;
  send(request: ModelRequest): void;
}

/** The client's part for models on disk and for what a model would take; what comes of it is folded into `store`. */
export class DeskClient {
  readonly store: StoreApi<DeskState> = createStore<DeskState>(() => INITIAL_DESK_STATE);

  constructor(private readonly engine: DeskConnection) {}

  /** Asks which models are kept in this browser. */
  list(): void {
    const id = this.engine.newId();
    this.tell({ type: 'page/list', id });
    this.engine.send({ type: 'list-models', id });
  }

  /** Deletes a model that is kept in this browser; one that is loaded stays loaded. */
  delete(model: string): void {
    const id = this.engine.newId();
    this.tell({ type: 'page/list', id });
    this.engine.send({ type: 'delete-model', id, model });
  }

  /** Asks what a model would take, answering questions of a size; nothing is loaded. */
  plan(of: PlannedModel, size: AnswerSize): void {
    const id = this.engine.newId();
    this.tell({ type: 'page/plan', id, of });
    this.engine.send({ type: 'plan-model', id, source: of.source, size });
  }

  /** Asks what training the planned model would take, too. */
  planTraining(size: AnswerSize, training: TrainingSize): void {
    const { plan } = this.store.getState();
    if (!plan) return;
    this.tell({ type: 'page/plan-training' });
    this.engine.send({ type: 'plan-model', id: plan.id, source: plan.of.source, size, training });
  }

  /** Forgets what was planned. */
  closePlan(): void {
    this.tell({ type: 'page/close-plan' });
  }

  /** Ends the load that is under way; the model before it stays, and so does what came, unless it is discarded. */
  cancelLoad(discard = false): void {
    this.engine.send({ type: 'cancel-load', ...(discard ? { discard } : {}) });
  }

  /** Takes what the engine says, or what the page does. */
  tell(event: DeskNews | DeskAction): void {
    this.store.setState(reduceDesk(this.store.getState(), event), true);
  }
}
