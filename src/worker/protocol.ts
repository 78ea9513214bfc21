/**
 * The messages between the page and the engine's worker. Discriminated unions on `type`; nothing else crosses.
 * Requests carry an `id` that the engine's events repeat, so that late events of an older request can be dropped.
 */
import type { BlockBackend } from '../blocks/block-runtimes';
import type { SamplingSettings } from '../generate/settings';
import type { Trace, TraceSentence } from '../generate/trace';
import type { AdapterSummary } from '../gpu/device';
import type { AnswerReward } from '../grpo/rewards/signed-reward';
import type { ModelPrecision, PartPrecision } from '../model/precision';
import type { FileProgress } from '../weights/load-weights';

/** What both sides do alike: how bytes are written, and what the parts of a trace are. */
export { parseTrace, ThinkParser } from '../generate/think-parser';
export { formatBytes } from '../gpu/format-bytes';
export type {
  AdapterSummary,
  AnswerReward,
  BlockBackend,
  FileProgress,
  ModelPrecision,
  PartPrecision,
  SamplingSettings,
  Trace,
  TraceSentence,
};

/** A question as the user wrote it. With `options`, they follow as "Options:\nA. …". */
export interface Question {
  text: string;
  options: string[];
  /** True: ask for <think> and <answer>; false: the original's direct-option prompt. */
  reasoning: boolean;
}

/**
 * Where a model's files are (config.json, safetensors, tokenizer files): a folder's URL (a hub's too), files of the
 * user's, or a model that was kept in this browser.
 */
export type ModelSource =
  | { kind: 'url'; url: string }
  | { kind: 'files'; files: readonly File[] }
  | { kind: 'kept'; id: string };

/** How frames are taken from a video: as many as the model's config says, evenly; or one a second, 64 at most. */
export type FrameSampling = 'uniform' | '1fps';

/** Most answers that can be written to one question at once. */
export const MAX_GENERATIONS = 8;

/** An answer that goes on from another token than the one that was drawn. */
export interface Fork {
  /** The request and the sample that it leaves. Where its keys and values are gone, they are computed again. */
  ask: number;
  sample: number;
  /** Ids of the answer's tokens before the fork, and as the last one the token to go on from. */
  tokens: readonly number[];
}

/** Page -> engine. */
export type EngineRequest =
  /**
   * Opens the GPU and loads a model. `backend` forces a dense backend, `precision` how parts of the weights are stored;
   * without them the engine chooses.
   */
  | {
      type: 'load-model';
      id: number;
      source: ModelSource;
      name: string;
      backend?: BlockBackend;
      precision?: Partial<ModelPrecision>;
      /** Keep the weights in this browser as they lie on the GPU; what was kept before is not loaded again. */
      keep?: boolean;
      /**
       * Its weights come while the model before it goes on answering; that one goes once they are there. Videos are
       * to be opened again then.
       */
      beside?: boolean;
    }
  /** Reads a video, samples its frames and encodes them. Replaces the video before it. */
  | { type: 'open-video'; id: number; file: Blob; name: string; sampling?: FrameSampling }
  /** Ends the reading of a video. The one before it, if there was one, stays open. */
  | { type: 'cancel-video' }
  /**
   * Answers a question about the open video, `num_generations` times under one shared prefix (sample 0, 1, ...; 1 to
   * MAX_GENERATIONS). `label` is the right option's letter: with it, answers get their rewards. With `fork`, one
   * answer is written, and its events speak of the tokens after `fork.tokens` alone, its trace of the whole.
   */
  | {
      type: 'ask';
      id: number;
      question: Question;
      settings: SamplingSettings;
      num_generations: number;
      label?: string;
      fork?: Fork;
      /**
       * Adapters to answer with ('' is the base; default only that): `num_generations` answers with each, one adapter
       * after the other, samples numbered on.
       */
      adapters?: readonly string[];
    }
  /** Ends the answers being written; what was written stays. */
  | { type: 'stop' };

/** Where an error belongs on the page. */
export type ErrorScope = 'gpu' | 'model' | 'video' | 'ask' | 'train' | 'bench';

/** One sentence of what went wrong, one of what to do. Shown as text. */
export interface EngineError {
  scope: ErrorScope;
  /** Machine-readable, e.g. 'no-webgpu', 'unsupported-codec', 'truncated'. */
  code: string;
  title: string;
  message: string;
  /** Settings that would work, where there are some (out of memory). Each alone is enough. */
  suggestions?: { num_generations?: number; max_new_tokens?: number };
}

/** A model that is ready to answer. */
export interface ModelInfo {
  name: string;
  parameters: number;
  /** Bytes of its weights on the GPU. */
  weightBytes: number;
  /** Frames sampled from a video (the config's `group`). */
  frames: number;
  visualTokens: number;
  imageSize: number;
  vocabSize: number;
  /** Which dense backend runs: 'ort', 'wgsl' or 'ort + wgsl'. */
  backend: string;
  /** How each part's weights are stored, and the error measured while they were. Left out by recorded answers. */
  precision?: readonly PartPrecision[];
}

/** What is known of a video once its tables are read. */
export interface VideoInfo {
  name: string;
  codec: string;
  width: number;
  height: number;
  durationSeconds: number;
  frameCount: number;
  /** Presentation times of the frames that will be sampled, in seconds. */
  sampledTimes: number[];
  /** A sentence where something about the file deserves a word (it stops early, say). */
  warning?: string;
  /** Set where the file stops early: seconds that it claims, and seconds that can be read. */
  truncation?: { declaredSeconds: number; readableSeconds: number };
}

/** One of the tokens a token was drawn from. `prob` is after temperature, before top-k and top-p. */
export interface Alternative {
  id: number;
  text: string;
  prob: number;
  /** False where top-k or top-p cut it off. */
  kept: boolean;
}

/** A token of an answer. */
export interface TokenInfo {
  id: number;
  /** Its text; empty where it only continues a character that is not complete yet. */
  text: string;
  /** Probability after temperature, before truncation. */
  prob: number;
  /** Natural-log probability at temperature 1 over the whole vocabulary. */
  logp: number;
  /** 1 = the most probable token. */
  rank: number;
  /** Entropy of the distribution after temperature, nats. */
  entropy: number;
  /** The most probable tokens, best first. */
  alternatives: Alternative[];
}

/** Times in milliseconds, counted from the press of Ask unless said otherwise. */
export interface AnswerStats {
  promptTokens: number;
  visualTokens: number;
  newTokens: number;
  /** Until the first token was read back. */
  timeToFirstTokenMs: number;
  prefillMs: number;
  decodeMs: number;
  tokensPerSecond: number;
}

/** What is known of a group once all of its answers have ended. Times as in `AnswerStats`. */
export interface GroupStats {
  /** Rows of the prefix, computed and stored once. */
  prefixTokens: number;
  prefillMs: number;
  decodeMs: number;
  /** Of all answers together. */
  newTokens: number;
  tokensPerSecond: number;
  /** Bytes of the keys and values that are in use: the prefix once, and each answer's own. */
  kvBytes: number;
  /** Group-relative advantages, one a sample, where all have rewards: (reward - mean) / (std + 1e-4). */
  advantages?: number[];
}

export type FinishReason = 'eos' | 'length' | 'stopped';

/** Engine -> page. */
export type EngineEvent =
  | { type: 'gpu'; adapter: AdapterSummary; f16: boolean; subgroups: boolean }
  /** Progress of anything longer than half a second. `total` 0 = not known. `label` is a short phrase for the user. */
  | {
      type: 'progress';
      scope: ErrorScope;
      id: number;
      label: string;
      done: number;
      total: number;
      /** `done` and `total` are bytes of what is loaded. */
      bytes?: true;
      /** Of what is kept in this browser. */
      kept?: true;
      /** The same, file by file. */
      files?: readonly FileProgress[];
    }
  | { type: 'model-ready'; id: number; model: ModelInfo }
  | { type: 'video-info'; id: number; video: VideoInfo }
  /** A sampled frame, at most 160 px wide. The page closes the bitmap. */
  | { type: 'frame'; id: number; index: number; time: number; thumbnail: ImageBitmap }
  /** The video is encoded: questions can be asked. */
  | { type: 'video-ready'; id: number; readMs: number; encodeMs: number }
  | { type: 'ask-started'; id: number; promptTokens: number }
  /** New tokens of one answer, and its whole trace as it stands now. */
  | { type: 'tokens'; id: number; sample: number; tokens: TokenInfo[]; trace: Trace; stats: AnswerStats }
  /** One answer has ended. */
  | {
      type: 'answered';
      id: number;
      sample: number;
      trace: Trace;
      stats: AnswerStats;
      reason: FinishReason;
      reward?: AnswerReward;
    }
  /** All answers to the question have ended. */
  | { type: 'ask-done'; id: number; group: GroupStats }
  | { type: 'memory'; bytes: number; peakBytes: number }
  /** `model_kept`: after a load that failed, the id of the load whose model is still there and goes on. */
  | { type: 'error'; id: number; error: EngineError; model_kept?: number }
  /** The GPU was lost and the engine is loading again; an answer that was under way is lost. */
  | { type: 'device-lost'; reason: string };
