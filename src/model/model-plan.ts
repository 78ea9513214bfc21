import { blocksOf, byteLength, isQuantised } from '../gpu/tensor';
import type { Checkpoint } from '../weights/checkpoint';
import { checkTensors } from '../weights/load-weights';
import type { TinyLlavaConfig } from './config';
import {
  type ModelPart,
  type ModelPrecision,
  PRECISION_PRESETS,
  type PrecisionPreset,
  partOf,
  presetPrecision,
  tensorPrecision,
} from './precision';
import { expectedTensors } from './tensor-names';

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
  /** What training takes at most, and its largest buffer; where it was asked for. */
  training?: { bytes: number; largestBuffer: number };
}

/** What loading a checkpoint would take. */
export interface ModelPlan {
  parameters: number;
  /** Bytes of the tensors that are fetched: those that the model's output depends on. */
  download: number;
  /** Bytes of the checkpoint's files as they are. */
  files: number;
  plans: PrecisionPlan[];
}

/** Positions of a prompt beside its visual tokens: instruction, question and options. */
const QUESTION_TOKENS = 160;

/**
 * Counts what a checkpoint takes, from its headers alone.
 * @param adapter `f16`: its shaders have halves; `kvBytes`: of a value in the cache, 4, or 2 where keys and values are
 * stored in halves.
 * @throws CheckpointError as `checkTensors`.
 */
export function planModel(
  checkpoint: Checkpoint,
  config: TinyLlavaConfig,
  { num_generations, max_new_tokens }: AnswerSize,
  { f16, kvBytes }: { f16: boolean; kvBytes: 2 | 4 },
): ModelPlan {
  const expected = expectedTensors(config);
  checkTensors(checkpoint, expected);
  let parameters = 0;
  let download = 0;
  for (const [name, shape] of expected.used) {
    parameters += shape.reduce((product, dim) => product * dim, 1);
    const { start, end } = checkpoint.tensors.get(name)!;
    download += end - start;
  }
  const text = config.text_config;
  const positions = config.connector.num_queries + QUESTION_TOKENS + num_generations * max_new_tokens;
  const caches = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim * positions * kvBytes;
  const plans = PRECISION_PRESETS.map((preset): PrecisionPlan => {
    const precision = presetPrecision(preset, f16);
    const typeOf = tensorPrecision(expected, precision);
    const bytes = new Map<PlanPart['name'], number>();
    let largest = { name: '', bytes: 0 };
    for (const [name, shape] of expected.used) {
      const dtype = typeOf(name);
      const own = byteLength(shape, dtype);
      const scales = isQuantised(dtype)
        ? byteLength([...shape.slice(0, -1), blocksOf(shape.at(-1)!)], 'f32')
        : 0;
      const part = partOf(name, shape) ?? 'other';
      bytes.set(part, (bytes.get(part) ?? 0) + own + scales);
      if (own > largest.bytes) largest = { name, bytes: own };
    }
    const disk = [...bytes.values()].reduce((sum, value) => sum + value, 0);
    bytes.set('caches', caches);
    const parts = [...bytes].map(([name, value]) => ({ name, bytes: value }));
    return { preset, precision, parts, bytes: disk + caches, largest, disk };
  });
  return { parameters, download, files: checkpoint.bytes, plans };
}
