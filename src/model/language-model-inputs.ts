import type { GpuTensor } from '../gpu/tensor';
import type { TinyLlavaConfig } from './config';
import type { DecoderSteps } from './decoder-steps';
import type { KvCache } from './kv-cache';
import type { Tap } from './model-taps';

/** Rows that a forward pass adds to one segment. */
export interface AppendedRows {
  segment: number;
  count: number;
}

/** What `LanguageModel.forward` computes. */
export interface ForwardInput {
  cache: KvCache;
  /** Where the rows go, in row order: the first `count` rows to the first segment, and so on. */
  append: readonly AppendedRows[];
  /** Embeddings `[rows, H]` f32, from `embedPrompt`; or else: */
  embeds?: GpuTensor;
  /** Token ids i32, at least one a row, on the GPU: a sampled token need not visit the CPU. */
  tokens?: GpuTensor;
  /** Taps `lm.hidden.0` (embeddings) .. `lm.hidden.n` (outputs of the layers) and `lm.hidden.final_norm`. */
  tap?: Tap;
  /** A decoder from `adapt`; default: the model without an adapter. */
  steps?: DecoderSteps;
}

/** A prompt of the language model. */
export interface LanguagePrompt {
  /** Ids, -200 in the place of the video. */
  prompt_ids: Int32Array;
  /** Visual tokens `[N, H]` f32. */
  visual?: GpuTensor | undefined;
}

/** Prompts' embeddings, one below the other. */
export interface EmbeddedPrompts {
  /** `[all rows, H]` f32. Their owner destroys the buffer. */
  embeds: GpuTensor;
  /** Rows of each prompt. */
  rows: readonly number[];
}

/** A prompt with a row for every visual token. */
export interface MergedPrompt {
  /** Token ids; -1 in the rows of visual tokens. */
  ids: Int32Array<ArrayBuffer>;
  /** First row of the visual tokens, or -1 without a video. */
  visual_row: number;
  /** Rows of visual tokens: as many as there are, unless the prompt was cut inside them. */
  visual_count: number;
}

/**
 * Puts `visual_tokens` rows in place of the image placeholder, and cuts the result at `tokenizer_model_max_length`
 * rows, as the original does (modeling_tinyllava.py, prepare_inputs_labels_for_multimodal).
 * @throws Error when the prompt is empty or has more than one placeholder.
 */
export function mergePrompt(
  prompt_ids: Int32Array,
  visual_tokens: number,
  config: Pick<TinyLlavaConfig, 'image_token_index' | 'tokenizer_model_max_length'>,
): MergedPrompt {
  const { image_token_index, tokenizer_model_max_length } = config;
  if (prompt_ids.length === 0) throw new Error('The prompt is empty: write a question.');
  const at = prompt_ids.indexOf(image_token_index);
  if (at !== prompt_ids.lastIndexOf(image_token_index))
    throw new Error('The prompt names the video twice; one is what the model takes.');
  const merged: number[] = [];
  for (const id of prompt_ids) {
    if (id === image_token_index) for (let i = 0; i < visual_tokens; i++) merged.push(-1);
    else merged.push(id);
  }
  const ids = Int32Array.from(merged.slice(0, tokenizer_model_max_length));
  const visual_count = at < 0 ? 0 : Math.max(0, Math.min(visual_tokens, ids.length - at));
  return { ids, visual_row: at, visual_count };
}

/** Rows that a pass computes. */
export function rowsOf({ append }: ForwardInput): number {
  return append.reduce((sum, { count }) => sum + count, 0);
}

/** Gives what takes the rows of a pass out of the tree again: those that were not computed must not stay in it. */
export function rowsBefore({ cache: { tree }, append }: ForwardInput): () => void {
  const lengths = append.map(({ segment }) => tree.segments[segment]?.length ?? 0);
  return () => {
    for (const [i, { segment }] of append.entries()) {
      if (tree.segments[segment] && tree.segments[segment].length > lengths[i]!)
        tree.truncate(segment, lengths[i]!);
    }
  };
}
