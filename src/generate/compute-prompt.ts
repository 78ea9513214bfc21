import type { Gpu } from '../gpu/device';
import type { Recorder } from '../gpu/recorder';
import { createTensor, type GpuTensor } from '../gpu/tensor';
import type { DecoderSteps } from '../model/decoder-steps';
import type { KvCache } from '../model/kv-cache';
import type { LanguageModel } from '../model/language-model';

/** Rows of a prompt that are computed at a time; between them progress is told and the request may be stopped. */
const PREFILL_ROWS = 512;

/** What `computePrompt` works with. */
export interface PromptInput {
  gpu: Gpu;
  recorder: Recorder;
  language: LanguageModel;
  cache: KvCache;
  /** Segment of the cache that takes the prompt's rows. */
  segment: number;
  /** Prompt embeddings `[rows, H]` f32. */
  embeds: GpuTensor;
  /** The decoder with an adapter; default the model's own. */
  steps?: DecoderSteps | undefined;
  /** Told how many rows the GPU has finished, where more follow. */
  tell: (rows: number) => void;
  signal: AbortSignal | undefined;
}

/**
 * Appends a prompt to a cache, a long one in parts -> hidden states of the last part, `[rows of it, H]` f32, which
 * hold until the next pass. Undefined where the signal came between two parts.
 */
export async function computePrompt(input: PromptInput): Promise<GpuTensor | undefined> {
  const { gpu, recorder, language, cache, segment, embeds, steps, tell, signal } = input;
  const decoder = steps ? { steps } : {};
  const [rows, width] = embeds.shape as [number, number];
  for (let at = 0; ; ) {
    const count = Math.min(PREFILL_ROWS, rows - at);
    const append = [{ segment, count }];
    if (count === rows) return language.forward({ cache, append, embeds, ...decoder });
    const part = createTensor(gpu, [count, width], 'f32', 'part of a prompt');
    recorder.copy(embeds.buffer, 4 * width * at, part.buffer, 0, 4 * width * count);
    recorder.submit();
    const hidden = await language
      .forward({ cache, append, embeds: part, ...decoder })
      .finally(() => part.buffer.destroy());
    at += count;
    if (at === rows) return hidden;
    await gpu.device.queue.onSubmittedWorkDone();
    tell(at);
    if (signal?.aborted) return undefined;
  }
}
