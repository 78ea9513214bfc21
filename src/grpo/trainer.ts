import { BatchGenerator } from '../generate/batch-generator';
import type { GroupToken } from '../generate/generate';
import { randomNormals } from '../generate/random';
import type { Gpu } from '../gpu/device';
import type { GpuTensor } from '../gpu/tensor';
import type { LoraAdapter } from '../lora/adapter';
import type { DecoderSteps } from '../model/decoder-steps';
import type { TinyLlava } from '../model/tiny-llava';
import { AdamW, type OptimiserState } from './adamw';
import { group_advantages } from './group-advantages';
import type { GrpoConfig } from './grpo-config';
import { learningRate } from './learning-rate';
import { type PolicyBatch, policyBatch } from './policy-batch';
import { PolicyGradient, type TokenScores } from './policy-gradient';
import { policyLoss } from './policy-loss';

/** A question of a step. */
export interface TrainingQuestion {
  /** Prompt ids, -200 in the place of the video. */
  prompt_ids: Int32Array;
  /** Visual tokens `[num_queries, H]` f32; they stay with the caller, who keeps them until the step has ended. */
  visual?: GpuTensor;
}

/** One answer of a group, scored. */
export interface Completion {
  tokens: number[];
  /** Without special tokens. */
  text: string;
  /** False where it was cut off at `max_completion_length`. */
  terminated: boolean;
  reward: number;
  advantage: number;
}

/** What a step did; the names are those of TRL's log. */
export interface StepMetrics {
  step: number;
  loss: number;
  reward: number;
  /** Mean of the groups' standard deviations. */
  reward_std: number;
  frac_reward_zero_std: number;
  kl?: number;
  /** Mean over all tokens, nats. */
  entropy: number;
  grad_norm: number;
  learning_rate: number;
  'completions/mean_length': number;
  'completions/clipped_ratio': number;
  'clip_ratio/region_mean': number;
  /** Largest difference between the log-probability when a token was drawn and the trainer's own of it. */
  'sampling/sampling_logp_difference/max': number;
  num_tokens: number;
  /** Seconds. */
  step_time: number;
  /** Updates that were left out because a gradient was not finite. */
  skipped_updates: number;
}

/** A step's metrics and its groups, by question. */
export interface StepResult {
  metrics: StepMetrics;
  groups: Completion[][];
}

/** Scores the answers of a group. @param question its place in the step. */
export type RewardFunction = (
  texts: readonly string[],
  question: number,
) => readonly number[] | Promise<readonly number[]>;

/** What is told and asked while a step goes on. */
export interface StepHooks {
  /** Ends the step while nothing has changed, also in the middle of an answer; ignored from the first update on. */
  signal?: AbortSignal;
  /** The tokens of a question's answers, as they are read back. @param question its place in the step. */
  onTokens?(question: number, tokens: readonly GroupToken[]): void;
  /** A question's answers are scored. */
  onGroup?(question: number, completions: readonly Completion[]): void;
}

/** A group as it was drawn: ids and log-probabilities of each answer's tokens. */
interface DrawnGroup {
  tokens: number[][];
  logps: number[][];
}

interface Rollout {
  batch: PolicyBatch;
  prompt: GpuTensor;
  completions: Completion[];
  /** As drawn. */
  sampling_logps: number[];
  ref_logps?: Float32Array;
  old_logps?: Float32Array;
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
      await PolicyGradient.create(gpu, model.language, adapter),
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
    const { config, policy } = this;
    const rollouts: Rollout[] = [];
    try {
      const drawn = await this.draw(questions, hooks);
      for (const [i, question] of questions.entries())
        rollouts.push(await this.rollout(question, i, questions.length, drawn[i]!, hooks));
      const items = rollouts.reduce((sum, { batch }) => sum + batch.tokens.length, 0);
      const learning_rate = learningRate(this.step, config);
      const seen = { loss: 0, kl: 0, entropy: 0, clipped: 0, difference: 0, grad_norm: 0, skipped: 0 };
      for (let iteration = 0; iteration < config.num_iterations; iteration++) {
        policy.clearGradients();
        for (const rollout of rollouts) {
          const { batch, prompt, completions } = rollout;
          if (iteration === 0) hooks.signal?.throwIfAborted();
          const forward = await policy.forward(batch, prompt);
          try {
            const { logps, entropies } = forward;
            if (iteration === 0) {
              if (config.num_iterations > 1) rollout.old_logps = logps;
              for (const [i, logp] of rollout.sampling_logps.entries())
                seen.difference = Math.max(seen.difference, Math.abs(logp - logps[i]!));
              seen.entropy += entropies.reduce((sum, value) => sum + value, 0) / items;
            }
            const { loss, d_logps, metrics } = policyLoss(
              {
                logps,
                ...(iteration > 0 ? { old_logps: rollout.old_logps! } : {}),
                ...(rollout.ref_logps ? { ref_logps: rollout.ref_logps } : {}),
                offsets: batch.offsets,
                advantages: completions.map(({ advantage }) => advantage),
                masked: completions.map(({ terminated }) => config.mask_truncated_completions && !terminated),
                num_items_in_batch: items,
              },
              config,
            );
            // The mean over the questions; `dapo` has divided by the tokens of all of them already.
            const weight = config.loss_type === 'dapo' ? 1 : 1 / rollouts.length;
            seen.loss += (weight * loss) / config.num_iterations;
            if (metrics.kl !== undefined) seen.kl += metrics.kl / rollouts.length / config.num_iterations;
            seen.clipped += metrics['clip_ratio/region_mean'] / rollouts.length / config.num_iterations;
            await policy.backward(
              forward,
              Float32Array.from(d_logps, (d) => weight * d),
            );
          } finally {
            forward.destroy();
          }
        }
        const { grad_norm, applied } = await this.optimiser.apply(policy.gradients, learning_rate);
        seen.grad_norm = grad_norm;
        if (!applied) seen.skipped += 1;
      }
      this.step += 1;
      return {
        metrics: this.metrics(rollouts, seen, learning_rate, start),
        groups: rollouts.map((r) => r.completions),
      };
    } finally {
      for (const { prompt } of rollouts) prompt.buffer.destroy();
    }
  }

  /**
   * Goes on from a checkpoint whose adapter is the trainer's (see `readTrainingCheckpoint`).
   * @throws Error where the moments are not those of the adapter.
   */
  restore({ step, optimiser }: { step: number; optimiser: OptimiserState }): void {
    this.optimiser.restore(optimiser);
    this.step = step;
  }

  /** Frees what the trainer made. */
  destroy(): void {
    this.generator.destroy();
    this.policy.destroy();
    this.optimiser.destroy();
  }

  /** The answers to all questions of a step, as drawn. */
  private async draw(
    questions: readonly TrainingQuestion[],
    { signal, onTokens }: StepHooks,
  ): Promise<DrawnGroup[]> {
    signal?.throwIfAborted();
    const { temperature, top_k, top_p, seed, num_generations, max_completion_length } = this.config;
    const settings = { temperature, top_k, top_p, seed };
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
        groups[prompt]!.logps[answer]!.push(record.logp);
        told[prompt]!.push({ sample: answer, record });
      }
      for (const [place, tokens] of told.entries()) if (tokens.length > 0) onTokens?.(place, tokens);
    }
    signal?.throwIfAborted();
    return groups;
  }

  /** Scores a question's answers, also by the reference. */
  private async rollout(
    { prompt_ids, visual }: TrainingQuestion,
    place: number,
    count: number,
    { tokens, logps }: DrawnGroup,
    { signal, onGroup }: StepHooks,
  ): Promise<Rollout> {
    signal?.throwIfAborted();
    const { config, model, policy } = this;
    const { seed, num_generations } = config;
    const number = this.step * count + place;
    const texts = tokens.map((ids) => model.tokenizer.decode(ids));
    const rewards = await this.reward(texts, place);
    if (rewards.length !== num_generations || !rewards.every(Number.isFinite))
      throw new Error(`The reward function gave [${rewards.join(', ')}] for ${num_generations} answers.`);
    const noise = randomNormals(seed, number, num_generations);
    const advantages = group_advantages(rewards, {
      scale_rewards: config.scale_rewards,
      ...(config.advantage_noise > 0 ? { noise, noise_scale: config.advantage_noise } : {}),
    });
    const prompt = model.language.embedPrompt(prompt_ids, visual);
    const batch = policyBatch(prompt.shape[0]!, tokens);
    let reference: TokenScores | undefined;
    try {
      reference = config.beta !== 0 ? await policy.reference(batch, prompt) : undefined;
    } catch (cause) {
      prompt.buffer.destroy();
      throw cause;
    }
    const { eos_token_id } = model.tokenizer;
    const completions = texts.map((text, i) => ({
      tokens: tokens[i]!,
      text,
      terminated: tokens[i]!.at(-1) === eos_token_id,
      reward: rewards[i]!,
      advantage: advantages[i]!,
    }));
    onGroup?.(place, completions);
    return {
      batch,
      prompt,
      completions,
      sampling_logps: logps.flat(),
      ...(reference ? { ref_logps: reference.logps } : {}),
    };
  }

  private metrics(
    rollouts: readonly Rollout[],
    seen: {
      loss: number;
      kl: number;
      entropy: number;
      clipped: number;
      difference: number;
      grad_norm: number;
      skipped: number;
    },
    learning_rate: number,
    start: number,
  ): StepMetrics {
    const all = rollouts.flatMap(({ completions }) => completions);
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const deviations = rollouts.map(({ completions }) => deviation(completions.map(({ reward }) => reward)));
    return {
      step: this.step,
      loss: seen.loss,
      reward: mean(all.map(({ reward }) => reward)),
      reward_std: mean(deviations),
      frac_reward_zero_std: mean(deviations.map((std) => (std === 0 ? 1 : 0))),
      ...(this.config.beta !== 0 ? { kl: seen.kl } : {}),
      entropy: seen.entropy,
      grad_norm: seen.grad_norm,
      learning_rate,
      'completions/mean_length': mean(all.map(({ tokens }) => tokens.length)),
      'completions/clipped_ratio': mean(all.map(({ terminated }) => (terminated ? 0 : 1))),
      'clip_ratio/region_mean': seen.clipped,
      'sampling/sampling_logp_difference/max': seen.difference,
      num_tokens: all.reduce((sum, { tokens }) => sum + tokens.length, 0),
      step_time: (performance.now() - start) / 1000,
      skipped_updates: seen.skipped,
    };
  }
}

/** Unbiased standard deviation. */
function deviation(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}
