import type { EngineEvent } from '../worker/protocol';
import type { TrainingEvent } from '../worker/training-protocol';

/** What the engine says about training, its errors of that scope included. */
export type TrainingNews = TrainingEvent | Extract<EngineEvent, { type: 'error' }>;

const TRAINING_EVENTS = {
  'data-report': true,
  'memory-plan': true,
  'run-started': true,
  'run-state': true,
  'group-started': true,
  'group-traces': true,
  'group-scored': true,
  'run-step': true,
  'run-eval': true,
  'run-event': true,
  'run-progress': true,
  'score-answers': true,
  runs: true,
  'run-data': true,
  'run-files': true,
  'runs-changed': true,
  adapters: true,
} satisfies Record<TrainingEvent['type'], true>;

/** Whether a message of the engine is about training. */
export function isTrainingNews(event: { type: string }): event is TrainingNews {
  const { type, error } = event as Partial<Extract<EngineEvent, { type: 'error' }>>;
  return type === 'error' ? error?.scope === 'train' : event.type in TRAINING_EVENTS;
}
