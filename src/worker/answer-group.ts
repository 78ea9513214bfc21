import type { GenerationUse, GroupToken } from '../generate/generate';
import { group_advantages } from '../grpo/group-advantages';
import { scoreAnswer } from '../grpo/rewards/signed-reward';
import type { Tokenizer } from '../model/tokenizer';
import { AnswerText } from './answer-text';
import type { AnswerStats, EngineEvent, EngineRequest, FinishReason } from './protocol';

/** Tokens are posted at most this often: more would only make the page draw between two frames. */
const POST_INTERVAL_MS = 30;

/** A question, as the page asks it. */
export type AskRequest = Extract<EngineRequest, { type: 'ask' }>;

/** The answers to one question as they grow: posts what becomes of them, with the times since `start`. */
export class AnswerGroup {
  private readonly answers: readonly AnswerText[];
  private readonly rewards: number[] = [];
  private prefillMs = 0;
  private firstToken = 0;
  private latestToken = 0;
  private posted = 0;

  /**
   * @param prompt rows of the prompt, and how many of them are the video's.
   * @param start `performance.now()` when the request came.
   */
  constructor(
    private readonly request: AskRequest,
    private readonly prompt: Pick<AnswerStats, 'promptTokens' | 'visualTokens'>,
    tokenizer: Tokenizer,
    private readonly start: number,
    private readonly post: (event: EngineEvent) => void,
  ) {
    const { num_generations, question, fork, adapters = [''] } = request;
    this.answers = Array.from(
      { length: num_generations * adapters.length },
      () => new AnswerText(tokenizer, question.options, fork?.tokens ?? []),
    );
  }

  /** Notes how far the prompt is; long ones are told of. */
  prefill(rows: number, total: number): void {
    if (rows === total) this.prefillMs ||= performance.now() - this.start;
    else {
      const { id } = this.request;
      this.post({ type: 'progress', scope: 'ask', id, label: 'Reading the prompt', done: rows, total });
    }
  }

  /** Adds the tokens of a step. Answers that end with it are finished. @param first number of the first sample. */
  push(tokens: readonly GroupToken[], first = 0): void {
    const step = tokens.map(({ sample, record }) => ({ sample: first + sample, record }));
    for (const { sample, record } of step) this.answers[sample]!.push(record);
    const now = performance.now();
    this.latestToken = now;
    this.firstToken ||= now;
    this.prefillMs ||= now - this.start;
    const due = now - this.posted >= POST_INTERVAL_MS;
    if (due) this.posted = now;
    for (const { sample } of step) {
      const { reason } = this.answers[sample]!;
      if (reason) this.finish(sample, reason);
      else if (due) this.postTokens(sample);
    }
  }

  /** Posts the tokens that were held back until the next post. */
  flush(): void {
    for (const sample of this.answers.keys()) this.postTokens(sample);
  }

  /** Finishes the answers of one adapter that have not ended. */
  endPart(first: number, reason: FinishReason): void {
    for (let sample = first; sample < first + this.request.num_generations; sample++)
      if (!this.answers[sample]!.reason) this.finish(sample, reason);
  }

  /** Finishes the answers that have not ended, and the group. `use` is what was computed for it, if anything was. */
  end(reason: FinishReason, use: GenerationUse | undefined): void {
    for (const [sample, answer] of this.answers.entries()) if (!answer.reason) this.finish(sample, reason);
    const { answers, rewards, prefillMs } = this;
    const newTokens = answers.reduce((sum, answer) => sum + answer.newTokens, 0);
    const decodeMs = this.latestToken - this.firstToken;
    // The first token of each answer comes from the prompt.
    const decoded = newTokens - answers.length;
    const scores = answers.flatMap((_, sample) => rewards[sample] ?? []);
    const comparable = scores.length === answers.length && this.request.num_generations > 1;
    this.post({
      type: 'ask-done',
      id: this.request.id,
      group: {
        // A request that was stopped while its prompt was read has left none behind.
        prefixTokens: use?.promptRows || this.prompt.promptTokens,
        prefillMs,
        decodeMs,
        newTokens,
        tokensPerSecond: decoded > 0 && decodeMs > 0 ? (decoded * 1000) / decodeMs : 0,
        kvBytes: use?.kvBytes ?? 0,
        ...(comparable ? { advantages: this.advantages(scores) } : {}),
      },
    });
  }

  /** Answers are compared with those of the same adapter, as in training. */
  private advantages(scores: readonly number[]): number[] {
    const { num_generations: G, adapters = [''] } = this.request;
    return adapters.flatMap((_, i) => group_advantages(scores.slice(i * G, (i + 1) * G)));
  }

  private finish(sample: number, ending: FinishReason): void {
    const { id, label } = this.request;
    const answer = this.answers[sample]!;
    const trace = answer.end(ending);
    this.postTokens(sample);
    // What the user cut off says nothing about the model.
    const scored = label !== undefined && ending !== 'stopped';
    const reward = scored ? scoreAnswer(trace.text, `<answer>${label}</answer>`) : undefined;
    if (reward) this.rewards[sample] = reward.reward;
    const stats = this.stats(answer);
    this.post({ type: 'answered', id, sample, trace, stats, reason: ending, ...(reward ? { reward } : {}) });
  }

  private postTokens(sample: number): void {
    const answer = this.answers[sample]!;
    const tokens = answer.takeTokens();
    if (tokens.length === 0) return;
    const { id } = this.request;
    this.post({ type: 'tokens', id, sample, tokens, trace: answer.trace(), stats: this.stats(answer) });
  }

  private stats(answer: AnswerText): AnswerStats {
    const { newTokens, firstToken, latestToken } = answer;
    const decodeMs = latestToken - firstToken;
    return {
      ...this.prompt,
      newTokens,
      timeToFirstTokenMs: firstToken ? firstToken - this.start : 0,
      prefillMs: this.prefillMs,
      decodeMs,
      tokensPerSecond: newTokens > 1 && decodeMs > 0 ? ((newTokens - 1) * 1000) / decodeMs : 0,
    };
  }
}
