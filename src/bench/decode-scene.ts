import type { WeightSource } from '../blocks/block-weights';
import { WgslRuntime } from '../blocks/wgsl/wgsl-runtime';
import { AnswerTree } from '../generate/answer-tree';
import type { Gpu } from '../gpu/device';
import {
  blocksOf,
  destroyTensor,
  type GpuTensor,
  readF32,
  sizeOf,
  uploadTensor,
  writeTensor,
} from '../gpu/tensor';
import type { TextConfig, TinyLlavaConfig } from '../model/config';
import { kvRowBytes } from '../model/kv-cache';
import { LanguageModel } from '../model/language-model';
import { expectedTensors, LANGUAGE_PREFIX } from '../model/tensor-names';
import { randomValues } from './random-values';
import { configOf, promptValues, SHARED_FIELDS } from './training-scene';

/** A decoder of 4-bit weights, and what is written with it. */
export interface DecodeSpec {
  text: TextConfig;
  /** Rows of the prompt. */
  prefix: number;
  /** Tokens of an answer, of which the first takes no step: it comes from the prompt. */
  tokens: number;
  /** Of one written with the whole graph. */
  graph_tokens: number;
}

/**
 * The published model's 36 layers, each a sixteenth of its width: as wide as a CPU adapter runs the whole graph of ONNX
 * Runtime in seconds a step.
 */
const NARROW: TextConfig = {
  ...SHARED_FIELDS,
  hidden_size: 128,
  intermediate_size: 704,
  num_hidden_layers: 36,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 32,
  vocab_size: 1024,
};

/** The published model. */
const FULL: TextConfig = {
  ...SHARED_FIELDS,
  hidden_size: 2048,
  intermediate_size: 11_008,
  num_hidden_layers: 36,
  num_attention_heads: 16,
  num_key_value_heads: 2,
  head_dim: 128,
  vocab_size: 151_936,
};

/** What is measured, with so many layers. */
export function decodeSpec(shapes: 'model' | 'small', num_hidden_layers = 36): DecodeSpec {
  if (shapes === 'model')
    return { text: { ...FULL, num_hidden_layers }, prefix: 700, tokens: 64, graph_tokens: 64 };
  return { text: { ...NARROW, num_hidden_layers }, prefix: 128, tokens: 6, graph_tokens: 2 };
}

/** A tensor of a made-up decoder: f32 values, or 4-bit codes with the scales of their blocks. */
export interface DecoderTensor {
  name: string;
  shape: readonly number[];
  data: Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;
  /** Of codes: `[N, blocks]`. */
  scales?: Float32Array<ArrayBuffer>;
}

/** A decoder's tensors, one at a time, the same ones every time. */
export function* decoderTensors(config: TinyLlavaConfig): Generator<DecoderTensor> {
  let seed = 1;
  for (const [name, shape] of expectedTensors(config).used) {
    if (!name.startsWith(LANGUAGE_PREFIX)) continue;
    seed += 1;
    const [n, k] = shape as [number, number | undefined];
    if (k === undefined) {
      const data = name.includes('norm') ? new Float32Array(n).fill(1) : randomValues(seed, n);
      yield { name, shape, data };
      continue;
    }
    const blocks = blocksOf(k);
    const words = Uint32Array.from(randomValues(seed, n * blocks * 4), (x) =>
      Math.imul(x * 2 ** 31, 0x9e3779b1),
    );
    // Codes are uniform from -8 to 7, with a deviation of 4.6: variance-preserving matrices.
    const scales = randomValues(seed + 1, n * blocks).map((x) => (1 + x / 4) / 4.6 / Math.sqrt(k));
    yield { name, shape, data: new Uint8Array(words.buffer), scales };
  }
}

/** A made-up decoder behind a prompt that is computed. */
export interface DecodeScene {
  spec: DecodeSpec;
  config: TinyLlavaConfig;
  language: LanguageModel;
  /** The prompt's keys and values; answers branch off. */
  tree: AnswerTree;
  /** `[1, H]`: what predicts the first token of every answer. */
  last: GpuTensor;
  /** Bytes of the weights that a step reads: all but the embedding, whose tied head it reads. */
  weightBytes: number;
  /** Multiply-adds of the linear layers, for one row. */
  linearSize: number;
  /** Keys (rotated) and values of the prompt, `[P, kv_heads, head_dim]` by layer. */
  prefixValues(layer: number): Promise<{ k: Float32Array<ArrayBuffer>; v: Float32Array<ArrayBuffer> }>;
  destroy(): Promise<void>;
}

/** Makes it, and computes the prompt. @throws GpuMemoryError where there is no room. */
export async function createDecodeScene(gpu: Gpu, spec: DecodeSpec): Promise<DecodeScene> {
  const { text, prefix } = spec;
  const config = configOf({ text, num_queries: 64 });
  const tensors = new Map<string, GpuTensor>();
  let weightBytes = 0;
  let linearSize = 0;
  for (const { name, shape, data, scales } of decoderTensors(config)) {
    const tensor = uploadTensor(gpu, data, shape, scales ? 'q4' : 'f32', name);
    if (scales) writeTensor(gpu, tensor.scales!, scales);
    tensors.set(name, tensor);
    weightBytes += tensor.buffer.size + (tensor.scales?.buffer.size ?? 0);
    if (shape.length === 2) linearSize += sizeOf(shape);
    // What was written waits in memory until the GPU has taken it.
    if (data.byteLength > 2 ** 24) await gpu.device.queue.onSubmittedWorkDone();
  }
  await gpu.memory.check();
  const weights: WeightSource = {
    get(name) {
      const tensor = tensors.get(name);
      if (!tensor) throw new Error(`The made-up decoder has no ${name}.`);
      return tensor;
    },
  };
  const runtime = WgslRuntime.create(gpu);
  const language = await LanguageModel.create(gpu, runtime, config, weights, { max_positions: 2 * prefix });
  const prompt_ids = new Int32Array(prefix);
  const tree = new AnswerTree(language, [{ prompt_ids, rows: prefix }], undefined);
  const embeds = uploadTensor(
    gpu,
    promptValues({ text, prompt_rows: prefix }),
    [prefix, text.hidden_size],
    'f32',
    'prompt',
  );
  const append = [{ segment: tree.roots[0]!, count: prefix }];
  const hidden = await language.forward({ cache: tree.cache, append, embeds });
  const all = await readF32(gpu, hidden);
  const last = uploadTensor(gpu, all.slice(-text.hidden_size), [1, text.hidden_size], 'f32', 'last row');
  embeds.buffer.destroy();
  const size = prefix * text.num_key_value_heads * text.head_dim;
  return {
    spec,
    config,
    language,
    tree,
    last,
    weightBytes,
    linearSize,
    async prefixValues(layer) {
      const { k, v } = tree.cache.layers[layer]!;
      return { k: (await readF32(gpu, k)).slice(0, size), v: (await readF32(gpu, v)).slice(0, size) };
    },
    async destroy() {
      tree.destroy();
      last.buffer.destroy();
      await language.destroy();
      runtime.destroy();
      for (const tensor of tensors.values()) destroyTensor(tensor);
    },
  };
}

/** Work of one step of `batch` answers that have `rows` tokens each: weights and the shared prompt are read once. */
export function stepWork({ spec, weightBytes, linearSize }: DecodeScene, batch: number, rows: number) {
  const { text, prefix } = spec;
  const seen = prefix + rows;
  const attention = 2 * text.num_hidden_layers * text.num_attention_heads * text.head_dim * seen;
  return {
    operations: 2 * batch * (linearSize + attention),
    bytes: weightBytes + kvRowBytes(text) * (prefix + batch * rows),
  };
}
