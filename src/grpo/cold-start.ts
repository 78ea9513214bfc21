import type { Gpu } from '../gpu/device';
import type { LoraAdapter } from '../lora/adapter';
import type { LanguagePrompt } from '../model/language-model-inputs';
import type { TinyLlava } from '../model/tiny-llava';
import { IGNORE_INDEX, type Tokenizer } from '../model/tokenizer';
import { AdamW, type OptimiserState } from './adamw';
import type { AdamWConfig } from './adamw-config';
import { learningRate, type ScheduleConfig } from './learning-rate';
import { PolicyGradient } from './policy-gradient';
import { type PassGroup, preparePasses } from './policy-passes';
import { finiteOnly, type StepMetrics } from './step-metrics';

/** A trace to learn by heart. */
export interface DemonstratedTrace {
  /** Its ids, the end token included. */
  tokens: readonly number[];
  /** Which of them count in the loss; left out: all. */
  counts?: readonly boolean[];
}

/** A question with traces that answer it. */
export interface Demonstration extends LanguagePrompt {
  traces: readonly DemonstratedTrace[];
}

/** Settings of the cold start: those of a run's `GrpoConfig` that it uses. */
export type ColdStartConfig = ScheduleConfig & AdamWConfig;

/** What is asked while a step goes on. */
export interface ColdStartHooks {
  /** Ends the step while nothing has changed. */
  signal?: AbortSignal;
  /** Demonstrations of an epoch, where the data have an end. */
  questions_in_epoch?: number;
}

/**
 * A conversation as a demonstration, tokenised and masked as the original does it in supervised training. Visual tokens
 * are added by the caller.
 * @throws Error where no token would count (a separator inside the texts).
 */
export function demonstrate(
  tokenizer: Tokenizer,
  message: string,
  answer: string,
): { prompt_ids: Int32Array; traces: DemonstratedTrace[] } {
  const { input_ids, labels } = tokenizer.encodeTraining(message, answer);
  const first = labels.findIndex((label) => label !== IGNORE_INDEX);
  if (first < 1)
    throw new Error('Nothing of the answer would be learned: it has a separator of the template in it.');
  const counts = Array.from(labels.subarray(first), (label) => label !== IGNORE_INDEX);
  return {
    prompt_ids: input_ids.slice(0, first),
    traces: [{ tokens: [...input_ids.subarray(first)], counts }],
  };
}

/** A trace in pieces, of which some are read but not learned, with the end token behind (the toy world's traces). */
export function demonstrateSegments(
  tokenizer: Tokenizer,
  segments: readonly { text: string; loss: boolean }[],
): DemonstratedTrace {
  const pieces = segments.map(({ text, loss }) => ({ ids: tokenizer.encode(text), loss }));
  return {
    tokens: [...pieces.flatMap(({ ids }) => [...ids]), tokenizer.eos_token_id],
    counts: [...pieces.flatMap(({ ids, loss }) => Array.from(ids, () => loss)), true],
  };
}

/**
 * Supervised cold start, the paper's first stage: cross-entropy on given traces, mean over the tokens of a step that
 * count, by the policy gradient with d loss / d logp = -1 / N. What is trained is the LoRA.
 */
export class ColdStartTrainer {
  /** Steps done. */
  step = 0;
  /** Tokens of all traces and prompts so far. */
  num_tokens = 0;

  private constructor(
    private readonly model: TinyLlava,
    private readonly config: ColdStartConfig,
    private readonly policy: PolicyGradient,
    readonly optimiser: AdamW,
  ) {}

  /** Compiles all passes. Model and adapter stay with their owners and must outlive the trainer. */
  static async create(
    gpu: Gpu,
    model: TinyLlava,
    adapter: LoraAdapter,
    config: ColdStartConfig,
  ): Promise<ColdStartTrainer> {
    const policy = await PolicyGradient.create(gpu, model.language, adapter);
    return new ColdStartTrainer(model, config, policy, await AdamW.create(gpu, adapter.tensors, config));
  }

  /**
   * One step on these. A step whose loss or gradient is not finite changes nothing and says so (`skipped_updates`).
   * @throws Error where no token counts, and the signal's reason when aborted: the step has not taken place then.
   */
  async train(demonstrations: readonly Demonstration[], hooks: ColdStartHooks = {}): Promise<StepMetrics> {
    const start = performance.now();
    const { policy, model, config } = this;
    const { language } = model;
    const groups = demonstrations.map(({ traces, prompt_ids, visual }): DemonstratedGroup => {
      const prompt: LanguagePrompt = { prompt_ids, visual };
      return { prompt, prompt_rows: language.promptRows(prompt), completions: traces };
    });
    const all = groups.flatMap(({ completions }) => completions);
    const counted = all.flatMap(({ tokens, counts }) => tokens.map((_, i) => counts?.[i] ?? true));
    const N = counted.filter(Boolean).length;
    if (N === 0) throw new Error('No token of these traces counts, so there is nothing to learn from them.');
    const passes = preparePasses(language, policy, groups);
    let loss = 0;
    let entropy = 0;
    let grad_norm = Number.NaN;
    let applied = false;
    const learning_rate = learningRate(this.step, config);
    try {
      policy.clearGradients();
      for (const { batch, prompt, groups: own } of passes) {
        hooks.signal?.throwIfAborted();
        const counts = own.flatMap(({ completions }) =>
          completions.flatMap(({ tokens, counts }) => tokens.map((_, i) => counts?.[i] ?? true)),
        );
        const forward = await policy.forward(batch, prompt);
        try {
          for (const [i, logp] of forward.logps.entries()) {
            if (!counts[i]) continue;
            loss -= logp / N;
            entropy += forward.entropies[i]! / N;
          }
          if (Number.isFinite(loss))
            await policy.backward(
              forward,
              Float32Array.from(counts, (counts) => (counts ? -1 / N : 0)),
            );
        } finally {
          forward.destroy();
        }
      }
      hooks.signal?.throwIfAborted();
      if (Number.isFinite(loss))
        ({ grad_norm, applied } = await this.optimiser.apply(policy.gradients, learning_rate));
    } finally {
      for (const { prompt } of passes) prompt.buffer.destroy();
    }
    this.step += 1;
    const prompts = groups.reduce(
      (sum, { prompt_rows, completions }) => sum + prompt_rows * completions.length,
      0,
    );
    this.num_tokens += counted.length + prompts;
    const step_time = (performance.now() - start) / 1000;
    return {
      step: this.step,
      ...finiteOnly({
        loss,
        grad_norm,
        entropy,
        learning_rate,
        num_tokens: this.num_tokens,
        step_time,
        tokens_per_second: counted.length / step_time,
        skipped_updates: applied ? 0 : 1,
        epoch: (this.step * demonstrations.length) / (hooks.questions_in_epoch ?? Number.NaN),
      }),
    };
  }

  /** Goes on from a checkpoint whose adapter is the trainer's. @throws Error where the moments are not those of it. */
  restore(saved: { step: number; optimiser: OptimiserState; num_tokens: number }): void {
    this.optimiser.restore(saved.optimiser);
    this.step = saved.step;
    this.num_tokens = saved.num_tokens;
  }

  /** Frees what the trainer made. */
  destroy(): void {
    this.policy.destroy();
    this.optimiser.destroy();
  }
}

interface DemonstratedGroup extends PassGroup {
  completions: readonly DemonstratedTrace[];
}
