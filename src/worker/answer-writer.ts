import { GenerationError } from '../generate/errors';
import { Generator } from '../generate/generate';
import type { Gpu } from '../gpu/device';
import type { GpuTensor } from '../gpu/tensor';
import type { DecoderSteps } from '../model/decoder-steps';
import { buildPrompt, withOptions } from '../model/prompt';
import type { TinyLlava } from '../model/tiny-llava';
import { AnswerGroup, type AskRequest } from './answer-group';
import { type EngineEvent, MAX_GENERATIONS } from './protocol';

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
   * Writes the answers to a question about a video: posts `ask-started`, then for each answer `tokens` as it grows
   * and `answered` as it ends, also when stopped, and `ask-done` at last. Answers that were stopped get no reward.
   * A fork's answer is sample 0 of its request, and has up to `max_new_tokens` tokens of its own. Its random numbers
   * are those of the sample and the positions that it leaves: with the token that was drawn there, it is the same
   * answer again.
   * @param visual visual tokens of the video, `[num_queries, H]` f32.
   * @param decoders of the request's adapters, undefined for the base: each writes `num_generations` answers, one
   * decoder after the other, with the same random numbers.
   * @throws GenerationError where the request cannot be served; what was written until then is posted.
   */
  async write(
    request: AskRequest,
    visual: GpuTensor,
    signal: AbortSignal,
    post: (event: EngineEvent) => void,
    decoders: readonly (DecoderSteps | undefined)[] = [undefined],
  ): Promise<void> {
    const start = performance.now();
    const { id, question, settings, num_generations, fork } = request;
    const { tokenizer } = this.model;
    checkGroup(request);
    const prompt_ids = tokenizer.encodePrompt(
      buildPrompt(withOptions(question.text, question.options), { reasoning: question.reasoning }),
    );
    const visualTokens = visual.shape[0]!;
    const promptTokens = prompt_ids.length - 1 + visualTokens;
    post({ type: 'ask-started', id, promptTokens });
    const group = new AnswerGroup(request, { promptTokens, visualTokens }, tokenizer, start, post);
    const forced = fork?.tokens ?? [];
    // The end of the text may be what is chosen at a fork.
    if (forced.at(-1) === tokenizer.eos_token_id) return group.end('eos', undefined);
    if (signal.aborted) return group.end('stopped', undefined);
    try {
      for (const [i, steps] of decoders.entries()) {
        const first = i * num_generations;
        const drawn = this.generator.generate({
          prompt_ids,
          visual,
          settings,
          max_new_tokens: settings.max_new_tokens,
          num_generations,
          forced,
          first_sample: fork?.sample ?? 0,
          ...(steps ? { steps } : {}),
          signal,
          onPrefill: (rows, total) => group.prefill(rows, total),
        });
        for await (const step of drawn) group.push(step, first);
        if (signal.aborted) break;
        group.endPart(first, 'length');
      }
    } catch (cause) {
      group.flush();
      throw cause;
    }
    group.end(signal.aborted ? 'stopped' : 'length', this.generator.use);
  }

  /** Frees what is kept for forks: the video is another one, or its memory is needed. */
  forget(): void {
    this.generator.forget();
  }

  /** Frees the generator; the model stays with its owner. */
  destroy(): void {
    this.generator.destroy();
  }
}

function checkGroup({ num_generations, fork }: AskRequest): void {
  const bad = (message: string) => new GenerationError('bad-request', 'This cannot be asked.', message);
  if (!Number.isInteger(num_generations) || num_generations < 1 || num_generations > MAX_GENERATIONS)
    throw bad(`From 1 to ${MAX_GENERATIONS} answers can be written at once, not ${num_generations}.`);
  if (fork && num_generations !== 1) throw bad('One answer can be continued at a time.');
  if (fork && fork.tokens.length === 0) throw bad('There is no token to continue from.');
}
