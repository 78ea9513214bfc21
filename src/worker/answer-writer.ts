import { Generator } from '../generate/generate';
import type { SampleRecord } from '../generate/sampler';
import { ThinkParser } from '../generate/think-parser';
import type { Gpu } from '../gpu/device';
import type { GpuTensor } from '../gpu/tensor';
import { buildPrompt, withOptions } from '../model/prompt';
import type { TinyLlava } from '../model/tiny-llava';
import { TokenStream } from '../model/token-stream';
import type { AnswerStats, EngineEvent, EngineRequest, FinishReason, TokenInfo } from './protocol';

/** Tokens are posted at most this often: more would only make the page draw between two frames. */
const POST_INTERVAL_MS = 30;

type AskRequest = Extract<EngineRequest, { type: 'ask' }>;

/** Writes answers with a model, and posts them as they grow. */
export class AnswerWriter {
  private constructor(
    private readonly model: TinyLlava,
    private readonly generator: Generator,
  ) {}

  /** Compiles what generation needs beyond the model itself. */
  static async create(gpu: Gpu, model: TinyLlava): Promise<AnswerWriter> {
    return new AnswerWriter(model, await Generator.create(gpu, model));
  }

  /**
   * Answers a question about a video: posts `ask-started`, `tokens`, and at the end `answered`, also when stopped.
   * @param visual visual tokens of the video, `[num_queries, H]` f32.
   */
  async write(
    request: AskRequest,
    visual: GpuTensor,
    signal: AbortSignal,
    post: (event: EngineEvent) => void,
  ): Promise<void> {
    const { id, question, settings } = request;
    const { tokenizer } = this.model;
    const start = performance.now();
    const prompt_ids = tokenizer.encodePrompt(
      buildPrompt(withOptions(question.text, question.options), { reasoning: question.reasoning }),
    );
    const visualTokens = visual.shape[0]!;
    const promptTokens = prompt_ids.length - 1 + visualTokens;
    post({ type: 'ask-started', id, promptTokens });
    const stream = new TokenStream(tokenizer);
    const parser = new ThinkParser(question.options);
    let trace = parser.trace();
    let fresh: TokenInfo[] = [];
    let newTokens = 0;
    let firstToken = 0;
    let posted = 0;
    let reason: FinishReason = signal.aborted ? 'stopped' : 'length';
    const stats = (): AnswerStats => {
      const decodeMs = firstToken ? performance.now() - firstToken : 0;
      return {
        promptTokens,
        visualTokens,
        newTokens,
        timeToFirstTokenMs: firstToken ? firstToken - start : 0,
        prefillMs: firstToken ? firstToken - start : performance.now() - start,
        decodeMs,
        tokensPerSecond: newTokens > 1 && decodeMs > 0 ? ((newTokens - 1) * 1000) / decodeMs : 0,
      };
    };
    if (!signal.aborted) {
      const { max_new_tokens, temperature, top_k, top_p, seed } = settings;
      const tokens = this.generator.generate({
        prompt_ids,
        visual,
        max_new_tokens,
        settings: { temperature, top_k, top_p, seed },
      });
      for await (const record of tokens) {
        firstToken ||= performance.now();
        newTokens += 1;
        if (record.id === tokenizer.eos_token_id) reason = 'eos';
        const text = stream.push(record.id);
        trace = parser.push(text);
        fresh.push(this.describe(record, text));
        if (signal.aborted && reason !== 'eos') {
          reason = 'stopped';
          break;
        }
        if (performance.now() - posted >= POST_INTERVAL_MS) {
          post({ type: 'tokens', id, sample: 0, tokens: fresh, trace, stats: stats() });
          fresh = [];
          posted = performance.now();
        }
      }
    }
    trace = parser.end(stream.end());
    if (fresh.length > 0) post({ type: 'tokens', id, sample: 0, tokens: fresh, trace, stats: stats() });
    post({ type: 'answered', id, sample: 0, trace, stats: stats(), reason });
  }

  /** Frees the generator; the model stays with its owner. */
  destroy(): void {
    this.generator.destroy();
  }

  private describe(record: SampleRecord, text: string): TokenInfo {
    const { tokenizer } = this.model;
    const { id, prob, logp, rank, entropy, survivors, top } = record;
    return {
      id,
      text,
      prob,
      logp,
      rank: rank + 1,
      entropy,
      alternatives: top.map((token, i) => ({
        id: token.id,
        text: tokenizer.decode([token.id], { skip_special_tokens: false }),
        prob: token.probability,
        kept: i < survivors,
      })),
    };
  }
}
