import { blocksOf, byteLength, isQuantised } from '../gpu/tensor';
import type { Checkpoint } from '../weights/checkpoint';
import { checkTensors } from '../weights/load-weights';
import type { TinyLlavaConfig } from './config';
import { FULL_PRECISION, type ModelPart, type ModelPrecision, partOf, tensorPrecision } from './precision';
import { expectedTensors } from './tensor-names';

/** Ways to store a model that are offered, the smallest first. */
export const PRECISION_PRESETS = {
  '4-bit': { language: 'q4', embedding: 'q8', vision: 'f16', connector: 'f16' },
  '8-bit': { language: 'q8', embedding: 'q8', vision: 'f16', connector: 'f16' },
  f16: { language: 'f16', embedding: 'f16', vision: 'f16', connector: 'f16' },
  f32: FULL_PRECISION,
} as const satisfies Record<string, ModelPrecision>;
export type PrecisionPreset = keyof typeof PRECISION_PRESETS;

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
 * @param kvBytes of a value in the cache: 4, or 2 where keys and values are stored in halves.
 * @throws CheckpointError as `checkTensors`.
 */
export function planModel(
  checkpoint: Checkpoint,
  config: TinyLlavaConfig,
  { num_generations, max_new_tokens }: AnswerSize,
  kvBytes: 2 | 4,
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
  const plans = Object.entries(PRECISION_PRESETS).map(([preset, precision]): PrecisionPlan => {
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
    return { preset: preset as PrecisionPreset, precision, parts, bytes: disk + caches, largest, disk };
  });
  return { parameters, download, files: checkpoint.bytes, plans };
}
