import { GenerationError } from '../generate/errors';
import { Generator } from '../generate/generate';
import type { Gpu } from '../gpu/device';
import type { GpuTensor } from '../gpu/tensor';
import { group_advantages } from '../grpo/group-advantages';
import { scoreAnswer } from '../grpo/rewards/signed-reward';
import { buildPrompt, withOptions } from '../model/prompt';
import type { TinyLlava } from '../model/tiny-llava';
import { AnswerText, rate } from './answer-text';
import {
  type AnswerReward,
  type AnswerStats,
  type EngineEvent,
  type EngineRequest,
  type FinishReason,
  MAX_GENERATIONS,
} from './protocol';

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
   * Writes the answers to a question about a video: posts `ask-started`, then for each answer `tokens` as it grows
   * and `answered` as it ends, also when stopped, and `ask-done` at last. Answers that were stopped get no reward.
   * A fork's answer is sample 0 of its request. Its random numbers are those of the sample and the positions that it
   * leaves: with the token that was drawn there, it is the same answer again.
   * @param visual visual tokens of the video, `[num_queries, H]` f32.
   * @throws GenerationError where the request cannot be served.
   */
  async write(
    request: AskRequest,
    visual: GpuTensor,
    signal: AbortSignal,
    post: (event: EngineEvent) => void,
  ): Promise<void> {
    const { id, question, settings, num_generations, fork, label } = request;
    const { tokenizer } = this.model;
    const start = performance.now();
    checkGroup(request);
    const prompt_ids = tokenizer.encodePrompt(
      buildPrompt(withOptions(question.text, question.options), { reasoning: question.reasoning }),
    );
    const visualTokens = visual.shape[0]!;
    const promptTokens = prompt_ids.length - 1 + visualTokens;
    post({ type: 'ask-started', id, promptTokens });
    const forced = fork?.tokens ?? [];
    const answers = Array.from(
      { length: num_generations },
      () => new AnswerText(tokenizer, question.options, forced),
    );
    const rewards: (AnswerReward | undefined)[] = answers.map(() => undefined);
    let prefillMs = 0;
    let firstToken = 0;
    let latestToken = 0;
    let posted = 0;
    const stats = (answer: AnswerText): AnswerStats => ({
      promptTokens,
      visualTokens,
      timeToFirstTokenMs: answer.firstToken ? answer.firstToken - start : 0,
      prefillMs,
      ...answer.times(),
    });
    const postTokens = (sample: number, answer: AnswerText) => {
      if (!answer.hasFresh) return;
      const tokens = answer.takeTokens();
      post({ type: 'tokens', id, sample, tokens, trace: answer.trace(), stats: stats(answer) });
    };
    const finish = (sample: number, answer: AnswerText, ending: FinishReason) => {
      const trace = answer.end(ending);
      postTokens(sample, answer);
      const reason = answer.reason ?? ending;
      const reward =
        label && reason !== 'stopped' ? scoreAnswer(trace.text, `<answer>${label}</answer>`) : undefined;
      rewards[sample] = reward;
      post({
        type: 'answered',
        id,
        sample,
        trace,
        stats: stats(answer),
        reason,
        ...(reward ? { reward } : {}),
      });
    };

    const ended = new Set<AnswerText>();
    // The end itself may be what is chosen at a fork.
    const nothingLeft = forced.at(-1) === tokenizer.eos_token_id;
    if (!signal.aborted && !nothingLeft) {
      const steps = this.generator.generate({
        prompt_ids,
        visual,
        settings,
        max_new_tokens: settings.max_new_tokens,
        num_generations,
        forced,
        first_sample: fork?.sample ?? 0,
        signal,
        onPrefill: (rows, total) => {
          if (rows === total) prefillMs = performance.now() - start;
          else post({ type: 'progress', scope: 'ask', id, label: 'Reading the prompt', done: rows, total });
        },
      });
      for await (const step of steps) {
        for (const { sample, record } of step) answers[sample]!.push(record);
        latestToken = performance.now();
        firstToken ||= latestToken;
        prefillMs ||= latestToken - start;
        const due = latestToken - posted >= POST_INTERVAL_MS;
        if (due) posted = latestToken;
        for (const { sample } of step) {
          const answer = answers[sample]!;
          if (answer.reason) {
            finish(sample, answer, answer.reason);
            ended.add(answer);
          } else if (due) postTokens(sample, answer);
        }
      }
    }
    const rest = nothingLeft ? 'eos' : signal.aborted ? 'stopped' : 'length';
    for (const [sample, answer] of answers.entries()) if (!ended.has(answer)) finish(sample, answer, rest);
    const newTokens = answers.reduce((sum, answer) => sum + answer.newTokens, 0);
    const decodeMs = latestToken - firstToken;
    const { promptRows, kvBytes } = this.generator.use;
    const scores = rewards.flatMap((reward) => (reward ? [reward.reward] : []));
    const comparable = scores.length === answers.length && scores.length > 1;
    post({
      type: 'ask-done',
      id,
      group: {
        prefixTokens: promptRows || promptTokens,
        prefillMs,
        decodeMs,
        newTokens,
        tokensPerSecond: rate(newTokens - answers.length, decodeMs),
        kvBytes,
        ...(comparable ? { advantages: group_advantages(scores) } : {}),
      },
    });
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
