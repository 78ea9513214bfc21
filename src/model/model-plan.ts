import { blocksOf, byteLength, isQuantised } from '../gpu/tensor';
import type { Checkpoint } from '../weights/checkpoint';
import { checkTensors } from '../weights/load-weights';
import type { TinyLlavaConfig } from './config';
import { kvRowBytes } from './kv-cache';
import {
  type ModelPart,
  type ModelPrecision,
  PRECISION_PRESETS,
  type PrecisionPreset,
  partOf,
  passPrecision,
  presetPrecision,
  tensorPrecision,
} from './precision';
import { expectedTensors, LANGUAGE_PREFIX, lmHeadName } from './tensor-names';

/** What is asked of the model once it is loaded. */
export interface AnswerSize {
  num_generations: number;
  max_new_tokens: number;
}

/** Bytes of a part on the GPU. `other`: norms, biases, positions; `caches`: keys and values of prompt and answers. */
export interface PlanPart {
  name: ModelPart | 'other' | 'caches';
  bytes: number;
}

/** A model in one of the ways to store it. */
export interface PrecisionPlan {
  preset: PrecisionPreset;
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

/** What a run takes at most, its largest buffer, and where that does not fit settings that would, each alone enough. */
export interface TrainingPlan {
  bytes: number;
  largestBuffer: number;
  suggestions?: { num_generations?: number; max_completion_length?: number; r?: number };
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
  /** 10^9 bytes a second that this adapter reads and writes in a copy, measured; left out while it is not known. */
  copy_gbps?: number;
}

/** Positions of a prompt beside its visual tokens: instruction, question and options. */
const QUESTION_TOKENS = 160;

/** Rows of a question's prompt, its video's included, as plans take it. */
export function plannedPromptRows({ connector }: TinyLlavaConfig): number {
  return connector.num_queries + QUESTION_TOKENS;
}

/**
 * Counts what a checkpoint takes, from its headers alone.
 * @param f16 the adapter's shaders have halves.
 * @throws CheckpointError as `checkTensors`.
 */
export function planModel(
  checkpoint: Checkpoint,
  config: TinyLlavaConfig,
  { num_generations, max_new_tokens }: AnswerSize,
  f16: boolean,
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
  const caches = rowBytes * (prompt + num_generations * max_new_tokens);
  const head = lmHeadName(config);
  const plans = PRECISION_PRESETS.map((preset): PrecisionPlan => {
    const precision = presetPrecision(preset, f16);
    const typeOf = tensorPrecision(expected, precision);
    const bytes = new Map<PlanPart['name'], number>();
    let largest = { name: '', bytes: 0 };
    let tokenBytes = rowBytes * (prompt + max_new_tokens / 2);
    for (const [name, shape] of expected.used) {
      const dtype = typeOf(name);
      const own = byteLength(shape, dtype);
      const scales = isQuantised(dtype)
        ? byteLength([...shape.slice(0, -1), blocksOf(shape.at(-1)!)], 'f32')
        : 0;
      const part = partOf(name, shape) ?? 'other';
      bytes.set(part, (bytes.get(part) ?? 0) + own + scales);
      if (name.startsWith(LANGUAGE_PREFIX) && (partOf(name, shape) !== 'embedding' || name === head))
        tokenBytes += own + scales;
      if (own > largest.bytes) largest = { name, bytes: own };
    }
    const disk = [...bytes.values()].reduce((sum, value) => sum + value, 0);
    bytes.set('caches', caches);
    const parts = [...bytes].map(([name, value]) => ({ name, bytes: value }));
    return { preset, precision, parts, bytes: disk + caches, largest, disk, tokenBytes };
  });
  return { parameters, download, files: checkpoint.bytes, weight_files, plans };
}
