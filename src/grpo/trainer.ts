import { BatchGenerator } from '../generate/batch-generator';
import type { GroupToken } from '../generate/generate';
import type { Gpu } from '../gpu/device';
import type { GpuTensor } from '../gpu/tensor';
import type { LoraAdapter } from '../lora/adapter';
import type { DecoderSteps } from '../model/decoder-steps';
import type { TinyLlava } from '../model/tiny-llava';
import { AdamW, type OptimiserState } from './adamw';
import type { Completion, QuestionText } from './completion-row';
import type { GrpoConfig } from './grpo-config';
import { learningRate } from './learning-rate';
import { PolicyGradient } from './policy-gradient';
import { type ScoredGroup, updatePolicy } from './policy-update';
import type { GroupScores } from './rewards/score-group';
import { stepAdvantages } from './step-advantages';
import { answerMetrics, finiteOnly, type StepMetrics } from './step-metrics';

/** A question of a step. */
export interface TrainingQuestion {
  /** Prompt ids, -200 in the place of the video. */
  prompt_ids: Int32Array;
  /** Visual tokens `[num_queries, H]` f32; they stay with the caller, who keeps them until the step has ended. */
  visual?: GpuTensor;
  /** What it says. With it, self-checks are logged. */
  about?: QuestionText;
}

/** A step's metrics and its groups, by question. */
export interface StepResult {
  metrics: StepMetrics;
  groups: Completion[][];
}

/**
 * Scores the answers of a group: one number each, or with the parts that the log shows (see `scoreGroup`).
 * @param question its place in the step.
 * @param tokens ids of each answer.
 */
export type RewardFunction = (
  texts: readonly string[],
  question: number,
  tokens: readonly (readonly number[])[],
) => readonly number[] | GroupScores | Promise<readonly number[] | GroupScores>;

/** What is told and asked while a step goes on. */
export interface StepHooks {
  /** Ends the step while nothing has changed, also in the middle of an answer; ignored from the first update on. */
  signal?: AbortSignal;
  /** The tokens of a question's answers, as they are read back. @param question its place in the step. */
  onTokens?(question: number, tokens: readonly GroupToken[]): void;
  /** Questions of an epoch, where the data have an end: the log gets `epoch`. */
  questions_in_epoch?: number;
  /** A question's answers are scored. */
  onGroup?(question: number, completions: readonly Completion[]): void;
}

/** A group as it was drawn: ids and log-probabilities of each answer's tokens. */
interface DrawnGroup {
  tokens: number[][];
  logps: number[][];
}

/** A question's answers before they are scored against those of other questions. */
interface Rollout extends ScoredGroup {
  number: number;
  about?: QuestionText;
}

/**
 * GRPO with LoRA (arXiv 2402.03300): each step samples a group of answers to every question under one shared prompt,
 * scores them, and moves the adapter along the policy gradient. The reference is the model without the adapter.
 *
 * Random numbers depend on (seed, question, sample, position) alone, the question counted over the whole run, so a run
 * that goes on from saved weights, moments and `step` gives what an uninterrupted one gives on the same adapter.
 */
export class GrpoTrainer {
  /** Steps done. */
  step = 0;
  /** Tokens of all answers so far and of their prompts, each answer's counted, as in TRL's log. */
  num_tokens = 0;

  private constructor(
    private readonly model: TinyLlava,
    private readonly config: GrpoConfig,
    private readonly reward: RewardFunction,
    private readonly generator: BatchGenerator,
    private readonly policy: PolicyGradient,
    readonly optimiser: AdamW,
    /** The decoder with the adapter. */
    readonly steps: DecoderSteps,
  ) {}

  /** Compiles all passes. Model and adapter stay with their owners and must outlive the trainer. */
  static async create(
    gpu: Gpu,
    model: TinyLlava,
    adapter: LoraAdapter,
    config: GrpoConfig,
    reward: RewardFunction,
  ): Promise<GrpoTrainer> {
    return new GrpoTrainer(
      model,
      config,
      reward,
      await BatchGenerator.create(gpu, model),
      await PolicyGradient.create(gpu, model.language, adapter, { temperature: config.temperature }),
      await AdamW.create(gpu, adapter.tensors, config),
      await model.language.adapt(adapter.decoder, adapter),
    );
  }

  /**
   * One step on these questions. @throws Error where a reward is not a finite number, and the signal's reason when
   * aborted: the step has not taken place then, and can be taken again.
   */
  async train(questions: readonly TrainingQuestion[], hooks: StepHooks = {}): Promise<StepResult> {
    const start = performance.now();
    const { config } = this;
    const rollouts: Rollout[] = [];
    const perGroup = config.scale_rewards !== 'batch';
    const scored = (rollout: Rollout, place: number) => {
      this.setAdvantages(rollout, rollouts);
      hooks.onGroup?.(place, rollout.completions);
    };
    const answers = await this.draw(questions, hooks);
    for (const [i, question] of questions.entries()) {
      rollouts.push(await this.rollout(question, i, questions.length, answers[i]!, hooks));
      if (perGroup) scored(rollouts[i]!, i);
    }
    if (!perGroup) for (const [i, rollout] of rollouts.entries()) scored(rollout, i);
    const learning_rate = learningRate(this.step, config);
    const { metrics, skipped } = await updatePolicy(
      { policy: this.policy, optimiser: this.optimiser, language: this.model.language },
      rollouts,
      config,
      learning_rate,
      hooks.signal,
    );
    this.step += 1;
    const drawn = rollouts.reduce((sum, { sampling_logps }) => sum + sampling_logps.length, 0);
    const read = rollouts.reduce(
      (sum, { prompt_rows, completions }) => sum + prompt_rows * completions.length,
      0,
    );
    this.num_tokens += drawn + read;
    const step_time = (performance.now() - start) / 1000;
    return {
      metrics: {
        step: this.step,
        ...finiteOnly({
          ...answerMetrics(rollouts, config.scale_rewards),
          ...metrics,
          learning_rate,
          num_tokens: this.num_tokens,
          step_time,
          tokens_per_second: drawn / step_time,
          skipped_updates: skipped,
          epoch: (this.step * questions.length) / (hooks.questions_in_epoch ?? Number.NaN),
        }),
      },
      groups: rollouts.map((r) => r.completions),
    };
  }

  /**
   * Goes on from a checkpoint whose adapter is the trainer's (see `readTrainingCheckpoint`).
   * @throws Error where the moments are not those of the adapter.
   */
  restore({
    step,
    optimiser,
    num_tokens,
  }: {
    step: number;
    optimiser: OptimiserState;
    num_tokens: number;
  }): void {
    this.optimiser.restore(optimiser);
    this.step = step;
    this.num_tokens = num_tokens;
  }

  /** Frees what the trainer made. */
  destroy(): void {
    this.generator.destroy();
    this.policy.destroy();
    this.optimiser.destroy();
  }

  /** The answers to all questions of a step, as drawn. Log-probabilities are those at the temperature, untruncated. */
  private async draw(
    questions: readonly TrainingQuestion[],
    { signal, onTokens }: StepHooks,
  ): Promise<DrawnGroup[]> {
    signal?.throwIfAborted();
    const {
      temperature,
      top_k,
      top_p,
      min_p = 0,
      seed,
      num_generations,
      max_completion_length,
    } = this.config;
    const settings = { temperature, top_k, top_p, min_p, seed };
    const empty = () => Array.from({ length: num_generations }, (): number[] => []);
    const groups = questions.map(() => ({ tokens: empty(), logps: empty() }));
    const steps = this.generator.generate({
      prompts: questions.map((question, place) => ({
        ...question,
        question: this.step * questions.length + place,
      })),
      answers: Array.from({ length: num_generations }, (_, sample) => ({ sample, settings })),
      max_new_tokens: max_completion_length,
      steps: this.steps,
      signal,
    });
    for await (const drawn of steps) {
      const told = groups.map((): GroupToken[] => []);
      for (const { prompt, answer, record } of drawn) {
        groups[prompt]!.tokens[answer]!.push(record.id);
        groups[prompt]!.logps[answer]!.push(temperature === 1 ? record.logp : Math.log(record.prob));
        told[prompt]!.push({ sample: answer, record });
      }
      for (const [place, tokens] of told.entries()) if (tokens.length > 0) onTokens?.(place, tokens);
    }
    signal?.throwIfAborted();
    return groups;
  }

  /** Scores a question's answers. */
  private async rollout(
    { prompt_ids, visual, about }: TrainingQuestion,
    place: number,
    count: number,
    { tokens, logps }: DrawnGroup,
    { signal }: StepHooks,
  ): Promise<Rollout> {
    signal?.throwIfAborted();
    const { config, model } = this;
    const { num_generations } = config;
    const prompt = { prompt_ids, visual };
    const number = this.step * count + place;
    const texts = tokens.map((ids) => model.tokenizer.decode(ids));
    const given = await this.reward(texts, place, tokens);
    const scores: GroupScores = 'rewards' in given ? given : { rewards: [...given], functions: {} };
    const { rewards } = scores;
    if (rewards.length !== num_generations || !rewards.every((r) => Number.isFinite(Math.fround(r))))
      throw new Error(`The reward function gave [${rewards.join(', ')}] for ${num_generations} answers.`);
    const { eos_token_id } = model.tokenizer;
    const completions = texts.map((text, i) => ({
      tokens: tokens[i]!,
      text,
      terminated: tokens[i]!.at(-1) === eos_token_id,
      reward: rewards[i]!,
      rewards: Object.fromEntries(Object.entries(scores.functions).map(([name, own]) => [name, own[i]!])),
      advantage: 0,
    }));
    return {
      number,
      ...(about ? { about } : {}),
      prompt,
      prompt_rows: model.language.promptRows(prompt),
      completions,
      sampling_logps: logps.flat(),
    };
  }

  private setAdvantages({ number, completions }: Rollout, all: readonly Rollout[]): void {
    const rewardsOf = (one: Pick<Rollout, 'completions'>) => one.completions.map(({ reward }) => reward);
    const batch = all.flatMap(rewardsOf);
    const advantages = stepAdvantages(rewardsOf({ completions }), number, batch, this.config);
    for (const [i, completion] of completions.entries()) completion.advantage = advantages[i]!;
  }
}
