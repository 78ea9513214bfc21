import type {
  BackendChoice,
  BenchCase,
  BenchDevice,
  BenchEvent,
  LinearCase,
  SelfTestReport,
  Target,
} from '../../worker/bench-protocol';
import type { EngineError, EngineEvent } from '../../worker/protocol';

/** All that the page knows of the engine's kernels. */
export interface BenchState {
  /** Of the model that is loaded. */
  selfTest?: SelfTestReport;
  backends: readonly BackendChoice[];
  /** `testing` and `running` wait for the engine. */
  status: 'idle' | 'testing' | 'running' | 'done' | 'stopped';
  /** Id of the measurement that the rest belongs to. */
  run: number;
  device?: BenchDevice;
  cases: readonly (BenchCase | LinearCase)[];
  targets: readonly Target[];
  progress?: { label: string; done: number; total: number };
  error?: EngineError;
}

/** What the page itself does, beside the engine's events. */
export type BenchAction =
  | { type: 'page/bench'; id: number }
  | { type: 'page/self-test'; id: number }
  /** What was under way ends with the GPU; the model comes back. */
  | { type: 'page/gpu-lost' }
  | { type: 'page/engine-gone' };

/** What the engine says about kernels, its errors of that scope included. */
export type BenchNews = BenchEvent | Extract<EngineEvent, { type: 'error' }>;

export const INITIAL_BENCH_STATE: BenchState = {
  backends: [],
  status: 'idle',
  run: 0,
  cases: [],
  targets: [],
};

const EVENTS = {
  'self-test': true,
  backends: true,
  'bench-device': true,
  'bench-progress': true,
  'bench-case': true,
  'bench-done': true,
} satisfies Record<BenchEvent['type'], true>;

/** Whether a message of the engine is about kernels. */
export function isBenchNews(event: { type: string; error?: EngineError }): event is BenchNews {
  return event.type === 'error' ? event.error?.scope === 'bench' : event.type in EVENTS;
}

/** The state after an event or an action. Pure; events of an older measurement are dropped. */
export function reduceBench(state: BenchState, event: BenchNews | BenchAction): BenchState {
  const { progress: _, error: __, ...rest } = state;
  switch (event.type) {
    case 'page/self-test':
      return { ...rest, status: 'testing', run: event.id };
    case 'page/bench': {
      const { device: _device, ...before } = rest;
      return { ...before, status: 'running', run: event.id, cases: [], targets: [] };
    }
    case 'page/gpu-lost':
      return { ...rest, status: ending(state) };
    case 'page/engine-gone':
      return { ...rest, backends: [], status: ending(state) };
    case 'self-test':
      // At start-up it comes unasked, also while nothing waits for it.
      return {
        ...state,
        selfTest: event.report,
        status: state.status === 'testing' ? ending({ ...state, status: 'testing' }) : state.status,
      };
    case 'backends':
      return { ...state, backends: event.choices };
    case 'error':
      return event.id === state.run ? { ...rest, status: ending(state), error: event.error } : state;
    default:
      break;
  }
  if (event.id !== state.run) return state;
  switch (event.type) {
    case 'bench-device':
      return { ...state, device: event.device };
    case 'bench-progress': {
      const { label, done, total } = event;
      return { ...state, progress: { label, done, total } };
    }
    case 'bench-case':
      return { ...state, cases: [...state.cases, event.result] };
    case 'bench-done':
      return { ...rest, status: event.stopped ? 'stopped' : 'done', targets: event.targets };
  }
}

/** What is left when the engine stops working on something. */
function ending({ status, targets, cases }: BenchState): BenchState['status'] {
  if (status === 'running') return 'stopped';
  if (status !== 'testing') return status;
  return targets.length > 0 ? 'done' : cases.length > 0 ? 'stopped' : 'idle';
}
