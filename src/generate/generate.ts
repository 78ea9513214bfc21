import type { Gpu } from '../gpu/device';
import { ReadBackRing } from '../gpu/read-back';
import { Recorder } from '../gpu/recorder';
import { createTensor, type GpuTensor } from '../gpu/tensor';
import type { TinyLlava } from '../model/tiny-llava';
import { decodeRecord, RECORD_WORDS, type SampleRecord, Sampler, type SamplingSettings } from './sampler';

const RECORD_BYTES = RECORD_WORDS * 4;

const BROKEN_LOGITS =
  'The model gave values that are no numbers (NaN or infinity), so no token could be chosen. ' +
  'Its weights may be damaged: load them again.';

/** What to continue, and how. */
export interface GenerateRequest {
  /** Prompt ids, -200 in the place of the video. */
  prompt_ids: Int32Array;
  /** Visual tokens `[num_queries, H]` f32. */
  visual?: GpuTensor;
  settings: SamplingSettings;
  max_new_tokens: number;
  /** Which question of a run this is: answers to different ones draw different random numbers. Default 0. */
  question?: number;
}

/**
 * Continues prompts token by token. The sampled token stays on the GPU, where the next step reads it; the CPU reads
 * every token one step behind, so one step more than needed is computed after the last token.
 */
export class Generator {
  private readonly recorder: Recorder;
  private readonly tokens: GpuTensor;
  private readonly records: GpuTensor;

  private constructor(
    private readonly gpu: Gpu,
    private readonly model: TinyLlava,
    private readonly sampler: Sampler,
  ) {
    this.recorder = new Recorder(gpu, 'generate');
    this.tokens = createTensor(gpu, [1], 'i32', 'sampled token');
    this.records = createTensor(gpu, [RECORD_WORDS], 'u32', 'sample record');
  }

  /** Compiles the sampling kernels for a model. */
  static async create(gpu: Gpu, model: TinyLlava): Promise<Generator> {
    const { vocab_size } = model.config.text_config;
    return new Generator(gpu, model, await Sampler.create(gpu, { vocab_size }));
  }

  /**
   * Yields the tokens of one answer as they are read back, the end-of-text token included. Ends after it, after
   * `max_new_tokens`, or when the caller stops iterating.
   * @throws Error when prompt and answer together are longer than the model's longest sequence.
   */
  async *generate(request: GenerateRequest): AsyncGenerator<SampleRecord, void> {
    const { language, tokenizer } = this.model;
    const { max_new_tokens } = request;
    const embeds = language.embedPrompt(request.prompt_ids, request.visual);
    const rows = embeds.shape[0]!;
    const cache = language.createCache(rows + max_new_tokens);
    const ring = new ReadBackRing(this.gpu, RECORD_BYTES);
    let pending: Promise<SampleRecord> | undefined;
    try {
      const prompt = cache.addSegment(rows);
      const hidden = await language.forward({ cache, append: [{ segment: prompt, count: rows }], embeds });
      pending = this.sample(request, await language.logits(hidden, [rows - 1]), 0, ring);
      const answer = cache.addSegment(max_new_tokens, prompt);
      for (let position = 1; position <= max_new_tokens; position++) {
        let next: Promise<SampleRecord> | undefined;
        if (position < max_new_tokens) {
          const step = await language.forward({
            cache,
            append: [{ segment: answer, count: 1 }],
            tokens: this.tokens,
          });
          next = this.sample(request, await language.logits(step), position, ring);
        }
        const current: Promise<SampleRecord> = pending;
        if (next) pending = next;
        const record = await current;
        if (record.status !== 0) throw new Error(BROKEN_LOGITS);
        yield record;
        if (record.id === tokenizer.eos_token_id) return;
      }
    } finally {
      // The read under way must end before its buffer is destroyed.
      await pending?.catch(() => undefined);
      ring.destroy();
      cache.destroy();
      embeds.buffer.destroy();
    }
  }

  /** Frees the buffers; the model stays with its owner. */
  destroy(): void {
    this.tokens.buffer.destroy();
    this.records.buffer.destroy();
  }

  private sample(
    { settings, question = 0 }: GenerateRequest,
    logits: GpuTensor,
    position: number,
    ring: ReadBackRing,
  ): Promise<SampleRecord> {
    const { tokens, records } = this;
    const rows = [{ question, sample: 0, position, active: true }];
    this.sampler.record(this.recorder, { logits, tokens, records, settings, rows });
    return ring.read(this.recorder, records.buffer).then((bytes) => decodeRecord(new Uint32Array(bytes), 0));
  }
}
