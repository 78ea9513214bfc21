import { byteLength } from '../gpu/tensor';
import type { ExpectedTensors } from '../weights/load-weights';
import { WEIGHT_PRECISIONS, type WeightPrecision } from '../weights/quantiser';
import { CONNECTOR_PREFIX, LANGUAGE_PREFIX, VISION_PREFIX } from './tensor-names';

/** Parts of a model that can be stored in a precision of their own. */
export const MODEL_PARTS = ['language', 'embedding', 'vision', 'connector'] as const;
export type ModelPart = (typeof MODEL_PARTS)[number];

/**
 * How the weights of each part are stored on the GPU. `language`, `vision` and `connector` are their linear layers;
 * `embedding` is the table of the tokens and the head. Norms, biases, latents, the patch embedding and positions are
 * f32 always.
 */
export type ModelPrecision = Readonly<Record<ModelPart, WeightPrecision>>;

/** Everything as exact as it can be. */
export const FULL_PRECISION: ModelPrecision = {
  language: 'f32',
  embedding: 'f32',
  vision: 'f32',
  connector: 'f32',
};

/** Parameters from which a model is stored in fewer bits where nothing is asked for. */
const LARGE = 500e6;

/** A part's precision, and the error that it makes. */
export interface PartPrecision {
  part: ModelPart;
  precision: WeightPrecision;
  /** Tensors that are stored so. */
  tensors: number;
  /** Relative error (root mean square) of a weight: the mean over the tensors, and the worst of them by name. */
  mean_error: number;
  worst_error: number;
  worst_tensor: string;
  /** That of each tensor in which it was measured, the largest first. */
  errors?: readonly { name: string; error: number }[];
}

/** How a language model stores what its passes make; f16 only where the adapter has `shader-f16`. */
export interface PassPrecision {
  /** Of KV caches. */
  kv_dtype: 'f32' | 'f16';
  /**
   * Of what flows between kernels while answering: q, k and v before the cache, attention's output, gate and up. Where
   * Qwen2.5 has outliers it is f32 always: the residual stream, what norms give, the input of `down_proj`, and all sums.
   * (What norms give is small beside an MLP's rows, and in f16 logits would be off by a fifth more: bench/RESULTS.md.)
   * Training is in f32 throughout: the one thing it cannot do without until its way back is the residual stream, and
   * gradients would need a scale of their own, or they vanish in f16.
   */
  activation_dtype: 'f32' | 'f16';
}

/** How a language model is stored: its linear layers' weights, and what its passes make. */
export interface LanguageStorage {
  weights: WeightPrecision;
  passes: PassPrecision;
}

/** Halves where shaders have them and the model is large: the options of `LanguageModel.create`. */
export function passPrecision(f16: boolean, parameters: number): PassPrecision {
  const dtype = f16 && parameters >= LARGE ? 'f16' : 'f32';
  return { kv_dtype: dtype, activation_dtype: dtype };
}

/** Ways to store a model that are offered, the smallest first. */
export const PRECISION_PRESETS = ['4-bit', '8-bit', 'f16', 'f32'] as const;
export type PrecisionPreset = (typeof PRECISION_PRESETS)[number];

/**
 * What a way to store a model means for its parts.
 * @param f16 shaders have halves; where they have not, 8 bits take their place: both backends run those.
 */
export function presetPrecision(preset: PrecisionPreset, f16: boolean): ModelPrecision {
  const other = f16 ? 'f16' : 'q8';
  switch (preset) {
    case '4-bit':
      return { language: 'q4', embedding: 'q8', vision: other, connector: other };
    case '8-bit':
      return { language: 'q8', embedding: 'q8', vision: other, connector: other };
    case 'f16':
      return { language: 'f16', embedding: 'f16', vision: 'f16', connector: 'f16' };
    case 'f32':
      return FULL_PRECISION;
  }
}

/** What a model gets where nothing is asked for: a small one f32, a large one 4 bits. `f16` as `presetPrecision`. */
export function defaultPrecision(parameters: number, f16: boolean): ModelPrecision {
  return parameters < LARGE ? FULL_PRECISION : presetPrecision('4-bit', f16);
}

/**
 * A precision that fits: each part in the most bits, no more than `wanted` has, in which its largest tensor has no more
 * than `largest` bytes. A part that fits in none is left as it is: loading it says so.
 */
export function fittingPrecision(
  expected: ExpectedTensors,
  wanted: ModelPrecision,
  largest: number,
): ModelPrecision {
  const fitting = { ...wanted };
  for (const part of MODEL_PARTS) {
    const own = [...expected.used].filter(([name, shape]) => partOf(name, shape) === part);
    const fits = WEIGHT_PRECISIONS.slice(WEIGHT_PRECISIONS.indexOf(wanted[part])).find((precision) =>
      own.every(([, shape]) => byteLength(shape, precision) <= largest),
    );
    if (fits) fitting[part] = fits;
  }
  return fitting;
}

/** The precision that `precisionLine` (plan-parts.ts) wrote; undefined where it is none. */
export function parsePrecisionLine(line: string): ModelPrecision | undefined {
  const parts = new Map(line.split(', ').map((part) => part.split(' ') as [string, string]));
  const found = MODEL_PARTS.map((part) => [part, WEIGHT_PRECISIONS.find((one) => one === parts.get(part))]);
  return found.every(([, one]) => one) ? (Object.fromEntries(found) as ModelPrecision) : undefined;
}

/** The part whose precision a tensor has; undefined for one that is f32 always. */
export function partOf(name: string, shape: readonly number[]): ModelPart | undefined {
  if (shape.length !== 2 || !name.endsWith('.weight')) return undefined;
  if (name === `${LANGUAGE_PREFIX}model.embed_tokens.weight` || name === `${LANGUAGE_PREFIX}lm_head.weight`)
    return 'embedding';
  if (name.startsWith(LANGUAGE_PREFIX)) return 'language';
  if (name.startsWith(CONNECTOR_PREFIX)) return 'connector';
  // The position table is added to the patches: no linear layer.
  if (name.startsWith(`${VISION_PREFIX}encoder.`)) return 'vision';
  return undefined;
}

/** The precision of every tensor of a model, by name, for `loadWeights`. */
export function tensorPrecision(
  expected: ExpectedTensors,
  precision: ModelPrecision,
): (name: string) => WeightPrecision {
  return (name) => {
    const part = partOf(name, expected.used.get(name) ?? []);
    return part ? precision[part] : 'f32';
  };
}

/**
 * The precision of each part, with the errors that were measured while loading.
 * @param errors by tensor name (`Weights.errors`).
 */
export function summarisePrecision(
  expected: ExpectedTensors,
  precision: ModelPrecision,
  errors: ReadonlyMap<string, number>,
): PartPrecision[] {
  return MODEL_PARTS.map((part) => {
    const names = [...expected.used].flatMap(([name, shape]) => (partOf(name, shape) === part ? [name] : []));
    const own = names.map((name) => ({ name, error: errors.get(name) ?? 0 }));
    const measured = own.filter(({ name }) => errors.has(name)).sort((a, b) => b.error - a.error);
    const worst = own.reduce((most, one) => (one.error > most.error ? one : most), { name: '', error: 0 });
    return {
      part,
      precision: precision[part],
      tensors: names.length,
      mean_error: own.reduce((sum, { error }) => sum + error / own.length, 0),
      worst_error: worst.error,
      worst_tensor: worst.name,
      ...(measured.length > 0 ? { errors: measured } : {}),
    };
  });
}
