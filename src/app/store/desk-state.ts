import type { KeptModel, ModelEvent, ModelPlan, StorageRoom } from '../../worker/model-protocol';
import type { EngineError, EngineEvent, ModelSource } from '../../worker/protocol';
import { addSample, beganAt, type LoadSample } from '../models/load-speed';

/** A model that is planned before it is loaded. */
export interface PlannedModel {
  name: string;
  source: ModelSource;
  /** The precision that it is planned in, as a kept model names it; without one, what is kept or offered decides. */
  precision?: string;
  /** The plan itself is wanted: also a small model waits for the user. */
  wanted?: true;
}

/** What was asked about a model that is not loaded, and what came of it. */
export interface PlanState {
  id: number;
  of: PlannedModel;
  /** Neither of them: the engine reads the headers. */
  plan?: ModelPlan;
  error?: EngineError;
  /** Why the memory of training could not be counted; the plan itself is there. */
  trainingError?: EngineError;
}

/** What the page knows of models on disk and of those that are planned. */
export interface DeskState {
  /** Undefined until the engine has said it. */
  kept?: readonly KeptModel[];
  room?: StorageRoom;
  plan?: PlanState;
  /** About the load of that id. */
  notKept?: { id: number; message: string };
  /** Why the list could not be read, or a model not be deleted. */
  error?: EngineError;
  /** Ids of the lists and deletions that are under way: their errors belong here. */
  asked: readonly number[];
  /** What was loaded when, of the load that is under way; oldest first. */
  samples: readonly LoadSample[];
  /** Files of a checkpoint that were chosen one after another. */
  loose: readonly File[];
  /** Where the download under way began. */
  began?: LoadSample;
}

/** What the page itself does. */
export type DeskAction =
  | { type: 'page/list'; id: number }
  | { type: 'page/plan'; id: number; of: PlannedModel }
  | { type: 'page/plan-training' }
  | { type: 'page/close-plan' }
  | { type: 'page/loose'; files: readonly File[] }
  /** The engine's thread is gone: nothing that was asked of it is answered. */
  | { type: 'page/engine-gone' }
  /** A model begins to load. */
  | { type: 'page/loading' }
  /** Bytes of the load under way, `kept` those that were on disk; `time` in milliseconds. */
  | { type: 'page/loaded'; time: number; done: number; total: number; kept: boolean };

/** What the engine says about models on disk and plans, its errors about them included. */
export type DeskNews = ModelEvent | Extract<EngineEvent, { type: 'error' }>;

export const INITIAL_DESK_STATE: DeskState = { asked: [], samples: [], loose: [] };

const EVENTS = {
  'kept-models': true,
  'model-plan': true,
  'not-kept': true,
} satisfies Record<ModelEvent['type'], true>;

/** Whether a message of the engine belongs to the desk. */
export function isDeskNews(
  { asked, plan }: DeskState,
  event: { type: string; id?: number },
): event is DeskNews {
  if (event.type !== 'error') return event.type in EVENTS;
  return event.id !== undefined && (asked.includes(event.id) || event.id === plan?.id);
}

/** The state after an event or an action. Pure; what an older plan says is dropped. */
export function reduceDesk(state: DeskState, event: DeskNews | DeskAction): DeskState {
  switch (event.type) {
    case 'page/list':
      return { ...state, asked: [...state.asked, event.id] };
    case 'page/plan': {
      const { id, of } = event;
      return { ...state, plan: { id, of } };
    }
    case 'page/plan-training': {
      if (!state.plan) return state;
      const { trainingError: _, ...plan } = state.plan;
      return { ...state, plan };
    }
    case 'page/close-plan': {
      const { plan: _, ...rest } = state;
      return rest;
    }
    case 'page/loose':
      return { ...state, loose: event.files };
    case 'page/engine-gone': {
      const { plan: _, ...rest } = state;
      return state.asked.length > 0 ? { ...rest, kept: state.kept ?? [], asked: [] } : rest;
    }
    case 'page/loading': {
      const { plan: _, notKept: __, began: ___, ...rest } = state;
      return { ...rest, samples: [] };
    }
    case 'page/loaded': {
      const { began: before, ...rest } = state;
      const began = beganAt(before, event);
      return { ...rest, samples: addSample(state.samples, event), ...(began ? { began } : {}) };
    }
    case 'kept-models': {
      const { error: _, ...rest } = state;
      return { ...withRoom(rest, event.room), kept: event.models, asked: without(state.asked, event.id) };
    }
    case 'model-plan':
      return event.id === state.plan?.id
        ? {
            ...withRoom(state, event.room),
            plan: { ...state.plan, plan: merged(event.plan, state.plan.plan) },
          }
        : state;
    case 'not-kept':
      return { ...state, notKept: { id: event.id, message: event.message } };
    case 'error':
      if (event.id === state.plan?.id) {
        const error = state.plan.plan ? { trainingError: event.error } : { error: event.error };
        return { ...state, plan: { ...state.plan, ...error } };
      }
      // Where the list cannot be read, nothing is kept that could be loaded.
      return {
        ...state,
        kept: state.kept ?? [],
        error: event.error,
        asked: without(state.asked, event.id),
      };
  }
}

/** A plan with what an earlier answer about the same model said besides. */
function merged(plan: ModelPlan, before: ModelPlan | undefined): ModelPlan {
  const copy_gbps = plan.copy_gbps ?? before?.copy_gbps;
  const plans = plan.plans.map((one) => {
    const training = one.training ?? before?.plans.find(({ preset }) => preset === one.preset)?.training;
    return training ? { ...one, training } : one;
  });
  return { ...plan, plans, ...(copy_gbps === undefined ? {} : { copy_gbps }) };
}

function withRoom(state: DeskState, room: StorageRoom | undefined): DeskState {
  return room ? { ...state, room } : state;
}

function without(ids: readonly number[], id: number): readonly number[] {
  return ids.filter((other) => other !== id);
}
