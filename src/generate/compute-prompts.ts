import type { Gpu } from '../gpu/device';
import type { GpuMemory } from '../gpu/memory';
import type { Recorder } from '../gpu/recorder';
import { createTensor, type GpuTensor } from '../gpu/tensor';
import type { TextConfig } from '../model/config';
import type { DecoderSteps } from '../model/decoder-steps';
import type { KvCache } from '../model/kv-cache';
import type { LanguageModel } from '../model/language-model';
import type { EmbeddedPrompts } from '../model/language-model-inputs';

/** Rows of prompts that are computed at a time at most; between them progress is told and the request may be stopped. */
const MOST_ROWS = 512;
/** Fewer than these would read the weights too often. */
const LEAST_ROWS = 32;

/**
 * Rows of prompts that are computed at a time: what they take beside weights and caches stays below an eighth of the
 * memory that is left.
 */
export function prefillRows(
  { budget, bytes }: Pick<GpuMemory, 'budget' | 'bytes'>,
  text: Pick<TextConfig, 'hidden_size' | 'intermediate_size'>,
  activation_dtype: 'f32' | 'f16',
): number {
  const { hidden_size: H, intermediate_size: M } = text;
  // Gate, up, q, k, v and the attention's output; their product, the residual stream in and out and two norms.
  const rowBytes = (activation_dtype === 'f16' ? 2 : 4) * (2 * M + 3 * H) + 4 * (M + 5 * H);
  const rows = Math.floor((budget - bytes) / 8 / rowBytes);
  return Math.max(LEAST_ROWS, Math.min(MOST_ROWS, rows));
}

/** What `computePrompts` works with. */
export interface PromptsInput {
  gpu: Gpu;
  recorder: Recorder;
  language: LanguageModel;
  cache: KvCache;
  /** Segments of the cache that take the prompts' rows, one a prompt. */
  segments: readonly number[];
  prompts: EmbeddedPrompts;
  /** The decoder with an adapter; default the model's own. */
  steps?: DecoderSteps | undefined;
  /** Told how many rows the GPU has finished, where more follow. */
  tell: (rows: number) => void;
  signal: AbortSignal | undefined;
}

/**
 * Appends prompts to a cache, several in a pass and a long one in parts -> hidden states of each prompt's last row,
 * `[prompts, H]` f32, which the caller destroys. Undefined where the signal came between two passes.
 */
export async function computePrompts(input: PromptsInput): Promise<GpuTensor | undefined> {
  const { gpu, recorder, language, cache, segments, steps, tell, signal } = input;
  const { embeds, rows } = input.prompts;
  const [total, width] = embeds.shape as [number, number];
  const bytes = 4 * width;
  const most = prefillRows(gpu.memory, language.config.text_config, language.activation_dtype);
  const last = createTensor(gpu, [rows.length, width], 'f32', 'last rows of prompts');
  try {
    // Of the prompt that comes next, rows that are computed.
    let done = 0;
    let prompt = 0;
    for (let at = 0; at < total; ) {
      const append: { segment: number; count: number }[] = [];
      const ends: { row: number; prompt: number }[] = [];
      let count = 0;
      while (prompt < rows.length && count < most) {
        const part = Math.min(most - count, rows[prompt]! - done);
        append.push({ segment: segments[prompt]!, count: part });
        count += part;
        done += part;
        if (done < rows[prompt]!) break;
        ends.push({ row: count - 1, prompt });
        prompt += 1;
        done = 0;
      }
      const whole = count === total;
      const part = whole ? embeds : createTensor(gpu, [count, width], 'f32', 'part of the prompts');
      if (!whole) {
        recorder.copy(embeds.buffer, bytes * at, part.buffer, 0, bytes * count);
        recorder.submit();
      }
      const hidden = await language
        .forward({ cache, append, embeds: part, ...(steps ? { steps } : {}) })
        .finally(() => whole || part.buffer.destroy());
      for (const end of ends)
        recorder.copy(hidden.buffer, bytes * end.row, last.buffer, bytes * end.prompt, bytes);
      recorder.submit();
      at += count;
      if (at === total) break;
      await gpu.device.queue.onSubmittedWorkDone();
      tell(at);
      if (signal?.aborted) {
        last.buffer.destroy();
        return undefined;
      }
    }
    return last;
  } catch (cause) {
    last.buffer.destroy();
    throw cause;
  }
}
