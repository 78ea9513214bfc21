import { blocksOf, byteLength, isQuantised } from '../gpu/tensor';
import type { Checkpoint } from '../weights/checkpoint';
import { checkTensors, type ExpectedTensors } from '../weights/load-weights';
import { WEIGHT_PRECISIONS, type WeightPrecision } from '../weights/quantiser';
import type { TinyLlavaConfig } from './config';
import { kvRowBytes } from './kv-cache';
import { type PlanPieces, type StoredPart, type StoredPlan, storedPlan } from './plan-parts';
import {
  defaultPrecision,
  fittingPrecision,
  type ModelPart,
  type ModelPrecision,
  PRECISION_PRESETS,
  type PrecisionPreset,
  partOf,
  passPrecision,
  presetPrecision,
} from './precision';
import { expectedTensors, LANGUAGE_PREFIX, lmHeadName } from './tensor-names';

/** What is asked of the model once it is loaded. */
export interface AnswerSize {
  num_generations: number;
  max_new_tokens: number;
}

/** A model in one of the ways to store it that have a name. */
export interface PrecisionPlan extends StoredPlan {
  preset: PrecisionPreset;
}

/** A file of weights: bytes of its tensors, and of those that are used. */
export interface PlanFile {
  name: string;
  bytes: number;
  used: number;
}

/** What loading a checkpoint would take. */
export interface ModelPlan {
  parameters: number;
  /** Bytes of the tensors that are fetched: those that the model's output depends on. */
  download: number;
  /** Bytes of all tensors in the checkpoint's files. */
  files: number;
  /** The files that the weights come from: bytes of the tensors in each, and of those that are fetched. */
  weight_files: PlanFile[];
  plans: PrecisionPlan[];
  /** What each part takes in each precision, for a choice of one's own. */
  pieces: PlanPieces;
  /** How the model is stored where nothing is asked for. */
  offered: ModelPrecision;
  /** How it would be, were there no limit to a buffer. */
  usual: ModelPrecision;
  /** 10^9 bytes a second that this adapter reads and writes in a copy, measured; left out while it is not known. */
  copy_gbps?: number;
}

/** Positions of a prompt beside its visual tokens: instruction, question and options. */
const QUESTION_TOKENS = 160;

/** Rows of a question's prompt, its video's included, as plans take it. */
export function plannedPromptRows({ connector }: TinyLlavaConfig): number {
  return connector.num_queries + QUESTION_TOKENS;
}

/** What an adapter offers, as far as a plan depends on it. */
export interface AdapterOffer {
  /** Shaders have halves. */
  f16: boolean;
  /** Bytes of the largest tensor: it must fit into one buffer and one binding. */
  largest: number;
}

/**
 * Counts what a checkpoint takes, from its headers alone.
 * @throws CheckpointError as `checkTensors`.
 */
export function planModel(
  checkpoint: Checkpoint,
  config: TinyLlavaConfig,
  { num_generations, max_new_tokens }: AnswerSize,
  { f16, largest }: AdapterOffer,
): ModelPlan {
  const expected = expectedTensors(config);
  checkTensors(checkpoint, expected);
  let parameters = 0;
  for (const shape of expected.used.values()) parameters += shape.reduce((product, dim) => product * dim, 1);
  const ofFile = new Map(
    checkpoint.files.map((name): [string, PlanFile] => [name, { name, bytes: 0, used: 0 }]),
  );
  for (const [name, { source, start, end }] of checkpoint.tensors) {
    const file = ofFile.get(source.name)!;
    file.bytes += end - start;
    if (expected.used.has(name)) file.used += end - start;
  }
  const weight_files = [...ofFile.values()];
  const download = weight_files.reduce((sum, { used }) => sum + used, 0);
  const text = config.text_config;
  const prompt = plannedPromptRows(config);
  const rowBytes = kvRowBytes({ ...text, ...passPrecision(f16, parameters) });
  const other = countPart(config, expected, undefined, 'f32');
  const of = (part: ModelPart) =>
    WEIGHT_PRECISIONS.map((precision) => ({ precision, ...countPart(config, expected, part, precision) }));
  const pieces: PlanPieces = {
    stored: {
      language: of('language'),
      embedding: of('embedding'),
      vision: of('vision'),
      connector: of('connector'),
    },
    other: { bytes: other.bytes, largest: other.largest },
    caches: rowBytes * (prompt + num_generations * max_new_tokens),
    tokenBytes: other.tokenBytes + rowBytes * (prompt + max_new_tokens / 2),
  };
  const plans = PRECISION_PRESETS.map((preset) => ({
    preset,
    ...storedPlan(pieces, presetPrecision(preset, f16)),
  }));
  const usual = defaultPrecision(parameters, f16);
  const offered = fittingPrecision(expected, usual, largest);
  return { parameters, download, files: checkpoint.bytes, weight_files, plans, pieces, offered, usual };
}

/** What the tensors of a part take in a precision; `undefined`: those that belong to none. */
function countPart(
  config: TinyLlavaConfig,
  { used }: ExpectedTensors,
  part: ModelPart | undefined,
  precision: WeightPrecision,
): Omit<StoredPart, 'precision'> {
  const head = lmHeadName(config);
  let bytes = 0;
  let tokenBytes = 0;
  let largest = { name: '', bytes: 0 };
  for (const [name, shape] of used) {
    if (partOf(name, shape) !== part) continue;
    const own = byteLength(shape, precision);
    const scales = isQuantised(precision)
      ? byteLength([...shape.slice(0, -1), blocksOf(shape.at(-1)!)], 'f32')
      : 0;
    bytes += own + scales;
    if (name.startsWith(LANGUAGE_PREFIX) && (part !== 'embedding' || name === head))
      tokenBytes += own + scales;
    if (own > largest.bytes) largest = { name, bytes: own };
  }
  return { bytes, largest, tokenBytes };
}
