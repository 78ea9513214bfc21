import type {
  AnswerReward,
  AnswerStats,
  FinishReason,
  FrameSampling,
  GroupStats,
  Question,
  SamplingSettings,
  TokenInfo,
  Trace,
} from '../../worker/protocol';

/** The `format` of an exported trace. */
export const TRACE_FORMAT = 'tinyllava-video-r1-playground/trace';
/** Grows when a reader of the version before would misread the file. */
export const TRACE_VERSION = 1;

/** `[id, text, prob, kept]` of a token that could have been drawn; `kept` false where top-k or top-p cut it off. */
export type ExportedAlternative = [id: number, text: string, prob: number, kept: boolean];

/** A token as `TokenInfo`, its alternatives as short rows. */
export interface ExportedToken extends Omit<TokenInfo, 'alternatives'> {
  alternatives: ExportedAlternative[];
}

/** One of the answers. */
export interface ExportedSample {
  /** Undefined where the answer was interrupted. */
  reason?: FinishReason;
  trace: Trace;
  stats?: AnswerStats;
  reward?: AnswerReward;
  tokens: ExportedToken[];
}

/** What answered. */
export interface ExportedModel {
  name: string;
  parameters?: number;
  weightBytes?: number;
  frames?: number;
  visualTokens?: number;
  imageSize?: number;
  vocabSize?: number;
  /** Dense backend: 'ort', 'wgsl' or 'ort + wgsl'. */
  backend?: string;
}

/** What it ran on. */
export interface ExportedAdapter {
  vendor: string;
  architecture: string;
  description: string;
  isFallback: boolean;
  f16: boolean;
  subgroups: boolean;
}

/** What was asked about. Times in seconds. */
export interface ExportedVideo {
  name: string;
  bytes?: number;
  /** FNV-1a of the file's bytes (`hashFile`), in recordings alone: they are found by it. */
  hash?: string;
  codec?: string;
  width?: number;
  height?: number;
  durationSeconds?: number;
  frameCount?: number;
  sampling?: FrameSampling;
  sampledTimes?: number[];
  readMs?: number;
  encodeMs?: number;
}

/** A question, everything it was answered with, and the answers. Documented in docs/trace-format.md. */
export interface TraceDocument {
  format: typeof TRACE_FORMAT;
  version: typeof TRACE_VERSION;
  /** When it was exported, ISO 8601. */
  created: string;
  model: ExportedModel;
  adapter?: ExportedAdapter;
  video: ExportedVideo;
  question: Question;
  /** Letter of the right option, where it is known. */
  label?: string;
  settings: SamplingSettings;
  promptTokens?: number;
  /** Set where the answer left another one: tokens `[0, position)` are that one's, `from` stood at `position`. */
  fork?: { position: number; from: string };
  /** One answer, or all of a group. */
  samples: ExportedSample[];
  group?: GroupStats;
}

/** A token in the format; `digits` rounds its numbers, `alternatives` keeps so many. */
export function exportToken(token: TokenInfo, digits = 6, alternatives = Infinity): ExportedToken {
  const round = (value: number) => roundTo(value, digits);
  return {
    id: token.id,
    text: token.text,
    prob: round(token.prob),
    logp: round(token.logp),
    rank: token.rank,
    entropy: round(token.entropy),
    alternatives: token.alternatives
      .slice(0, alternatives)
      .map(({ id, text, prob, kept }) => [id, text, round(prob), kept]),
  };
}

/** A token of the format as the page has it. */
export function importToken({ alternatives, ...token }: ExportedToken): TokenInfo {
  return {
    ...token,
    alternatives: alternatives.map(([id, text, prob, kept]) => ({ id, text, prob, kept })),
  };
}

/** The number with so many significant digits. */
export function roundTo(value: number, digits: number): number {
  return Number(value.toPrecision(digits));
}

/** The document as text: indented, but with each token and each list of numbers on one line. */
export function documentJson(document: TraceDocument): string {
  const inlined: string[] = [];
  // Stands for what is put on one line; random, so that no text of the document can look like it.
  const mark = `inline ${Math.random()} `;
  const put = (value: unknown) => `${mark}${inlined.push(JSON.stringify(value)) - 1}`;
  const replacer = (key: string, value: unknown) => {
    if (!Array.isArray(value)) return value;
    if (key === 'tokens') return value.map(put);
    return key === 'sampledTimes' || key === 'advantages' ? put(value) : value;
  };
  const text = JSON.stringify(document, replacer, 2);
  return `${text.replace(new RegExp(`"${mark}(\\d+)"`, 'g'), (_, index: string) => inlined[Number(index)]!)}\n`;
}
