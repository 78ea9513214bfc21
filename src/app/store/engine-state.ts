import type {
  AdapterSummary,
  AnswerReward,
  AnswerStats,
  EngineError,
  ErrorScope,
  FileProgress,
  FinishReason,
  FrameSampling,
  GroupStats,
  ModelInfo,
  ModelSource,
  Question,
  SamplingSettings,
  TokenInfo,
  Trace,
  VideoInfo,
} from '../../worker/protocol';
import type { AdapterInfo } from '../../worker/training-protocol';

/** How far a long piece of work has come. `total` 0 = not known. */
export interface Progress {
  label: string;
  done: number;
  total: number;
  /** `done` and `total` are bytes of what is loaded. */
  bytes?: true;
  /** The same, file by file. */
  files?: readonly FileProgress[];
}

/** A frame of the film strip. The client closes `thumbnail` once the frame leaves the state. */
export interface Frame {
  index: number;
  /** Seconds. */
  time: number;
  thumbnail: ImageBitmap;
}

export interface GpuState {
  adapter: AdapterSummary;
  f16: boolean;
  subgroups: boolean;
}

export interface ModelState {
  id: number;
  status: 'idle' | 'loading' | 'ready' | 'failed';
  name: string;
  source: ModelSource;
  /** True where recorded answers are played instead of a model being run. */
  recorded: boolean;
  info?: ModelInfo;
  progress?: Progress;
}

/** The video on the page. */
export interface VideoState {
  id: number;
  status: 'reading' | 'ready' | 'failed';
  name: string;
  file: Blob;
  /** Object URL of `file`, for the player. */
  url: string;
  /** How its frames are chosen. */
  sampling: FrameSampling;
  info?: VideoInfo;
  frames: Frame[];
  progress?: Progress;
  /** Milliseconds for reading and for encoding its frames. */
  readMs?: number;
  encodeMs?: number;
}

export type AnswerStatus = 'prefill' | 'streaming' | 'done' | 'failed';

/** One of the answers that are written to a question. */
export interface SampleState {
  status: AnswerStatus;
  /**
   * Grows in place while the answer streams, so that adding a token copies nothing: read the first `count` alone, and
   * compare samples, not this array, to see a change.
   */
  tokens: TokenInfo[];
  count: number;
  trace?: Trace;
  stats?: AnswerStats;
  reason?: FinishReason;
  reward?: AnswerReward;
}

/** Where an answer left another one, to go on from another token. */
export interface ForkOrigin {
  /** Id of that answer, and which of its samples. */
  answer: number;
  sample: number;
  /** Index of the token that is another one. */
  position: number;
  /** Text of the token that stood there. */
  from: string;
}

/** One question that was asked, and the one or more answers that came of it. */
export interface AnswerState {
  id: number;
  question: Question;
  settings: SamplingSettings;
  /** Letter of the right option, where it is known. */
  label?: string;
  /** Name of the model that answers. */
  model: string;
  videoName: string;
  /** The video's object URL: the same as long as it is the same opened file. */
  videoUrl: string;
  readMs?: number;
  encodeMs?: number;
  status: AnswerStatus;
  promptTokens?: number;
  progress?: Progress;
  /** Where adapters answer: their names, `num_generations` samples with each, one after the other. */
  adapters?: readonly string[];
  /** `num_generations` of them, or so many for each adapter. */
  samples: SampleState[];
  /** Known once all have ended. */
  group?: GroupStats;
  fork?: ForkOrigin;
}

/** Everything the page knows of the engine. Changed only by `reduceEvent` and the client's own actions. */
export interface EngineState {
  gpu?: GpuState;
  model: ModelState;
  /** The model before the one being loaded: it comes back if the new one cannot be loaded. */
  previousModel?: ModelState;
  /** A model that is loaded while `model` goes on answering: it takes its place when it is ready. */
  nextModel?: ModelState;
  video?: VideoState;
  /** The video before the one being read: it comes back if the new one cannot be read. */
  previousVideo?: VideoState;
  /** Name of the file that could not be read, while its error stands. */
  refusedVideo?: string;
  /** Oldest first. */
  answers: AnswerState[];
  /** Adapters that are loaded beside the base. */
  adapters: readonly AdapterInfo[];
  /** True while a run holds the GPU. */
  training: boolean;
  memory?: { bytes: number; peakBytes: number };
  errors: Partial<Record<ErrorScope, EngineError>>;
  /** Set from the loss of the GPU until model and video are back. */
  recovering: boolean;
}

/** The state before anything was asked of the engine. */
export const INITIAL_ENGINE_STATE: EngineState = {
  model: { id: 0, status: 'idle', name: '', source: { kind: 'url', url: '' }, recorded: false },
  answers: [],
  adapters: [],
  training: false,
  errors: {},
  recovering: false,
};

/** What the base is called where adapters are named. */
export const BASE = '';

/** Of the given adapters those that are loaded; the base alone where none is. */
export function usableAdapters(state: Pick<EngineState, 'adapters'>, adapters: readonly string[]): string[] {
  const usable = adapters.filter((id) => id === BASE || state.adapters.some(({ adapter }) => adapter === id));
  return usable.length > 0 ? usable : [BASE];
}

/** The answer being written, if there is one. */
export function runningAnswer(state: EngineState): AnswerState | undefined {
  const last = state.answers.at(-1);
  return last && (last.status === 'prefill' || last.status === 'streaming') ? last : undefined;
}
