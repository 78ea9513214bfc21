import type { WeightPrecision } from '../weights/quantiser';
import type { ModelPart, ModelPrecision } from './precision';

// Without imports but types: the page adds plans up itself, for whatever is chosen there, and finds what is kept by the
// line of its precision.

/** A precision as a line of text: "language q4, embedding q8, vision f16, connector f16". */
export function precisionLine({ language, embedding, vision, connector }: ModelPrecision): string {
  return `language ${language}, embedding ${embedding}, vision ${vision}, connector ${connector}`;
}

/** Bytes of a part on the GPU. `other`: norms, biases, positions; `caches`: keys and values of prompt and answers. */
export interface PlanPart {
  name: ModelPart | 'other' | 'caches';
  bytes: number;
}

/** What a part takes in one of the precisions that it can be stored in. */
export interface StoredPart {
  precision: WeightPrecision;
  /** On the GPU, and where it is kept in the browser. */
  bytes: number;
  /** Its largest tensor, which must fit into one buffer and one binding. */
  largest: { name: string; bytes: number };
  /** What of it decoding reads for a token of one answer. */
  tokenBytes: number;
}

/** What a model takes, part by part. */
export interface PlanPieces {
  /** Each part in all its precisions. */
  stored: Readonly<Record<ModelPart, readonly StoredPart[]>>;
  /** What is the same in all of them. `largest`: among the norms, biases and positions. */
  other: { bytes: number; largest: { name: string; bytes: number } };
  caches: number;
  /** That decoding reads for a token of one answer beside the parts: norms, biases, keys and values. */
  tokenBytes: number;
}

/** What a run takes at most, its largest buffer, and where that does not fit settings that would, each alone enough. */
export interface TrainingPlan {
  bytes: number;
  largestBuffer: number;
  suggestions?: { num_generations?: number; max_completion_length?: number; r?: number };
}

/** A model with a precision chosen for each part. */
export interface StoredPlan {
  precision: ModelPrecision;
  parts: PlanPart[];
  bytes: number;
  /** The largest tensor, which must fit into one buffer and one binding. */
  largest: { name: string; bytes: number };
  /** Of the weights, where they are kept in the browser. */
  disk: number;
  /**
   * That decoding reads for a token of one answer, half of its new tokens written: the language model's weights, the
   * head, keys and values.
   */
  tokenBytes: number;
  /** What training takes at most, where it was asked for. */
  training?: TrainingPlan;
}

/** Adds up what a model takes with a precision for each part. */
export function storedPlan(pieces: PlanPieces, precision: ModelPrecision): StoredPlan {
  const { stored, other, caches } = pieces;
  const parts: PlanPart[] = [];
  let { largest } = other;
  let disk = other.bytes;
  let { tokenBytes } = pieces;
  for (const name of Object.keys(stored) as ModelPart[]) {
    const part = stored[name].find((one) => one.precision === precision[name])!;
    parts.push({ name, bytes: part.bytes });
    disk += part.bytes;
    tokenBytes += part.tokenBytes;
    if (part.largest.bytes > largest.bytes) largest = part.largest;
  }
  parts.push({ name: 'other', bytes: other.bytes }, { name: 'caches', bytes: caches });
  return { precision, parts, bytes: disk + caches, largest, disk, tokenBytes };
}
