import { ColdStartTrainer } from '../../grpo/cold-start';
import type { LoraAdapter } from '../../lora/adapter';
import type { DecoderSteps } from '../../model/decoder-steps';
import type { RunDemonstration } from './question-source';
import { type RunStage, type StageContext, skippedQuestions, type TakenStep } from './run-stage';

/** The cold start's steps: traces of the run's source. */
export class ColdStartStage implements RunStage {
  private constructor(
    private readonly context: StageContext,
    readonly trainer: ColdStartTrainer,
    readonly steps: DecoderSteps,
  ) {}

  /** Compiles all passes. */
  static async create(context: StageContext, adapter: LoraAdapter): Promise<ColdStartStage> {
    const { gpu, model } = context.use;
    const trainer = await ColdStartTrainer.create(gpu, model, adapter, context.config().grpo);
    return new ColdStartStage(context, trainer, await model.language.adapt(adapter.decoder, adapter));
  }

  async take(): Promise<TakenStep> {
    const { trainer } = this;
    const { use, signal, progress, config, passedOver } = this.context;
    const { questions_per_step, seed } = config().grpo;
    const first = trainer.step * questions_per_step;
    const given: RunDemonstration[] = [];
    try {
      for (let i = 0; i < questions_per_step; i++) {
        progress(`trace ${i + 1} of ${questions_per_step}`, i, questions_per_step);
        const demonstration = await use.source.demonstration(seed, first + i, signal);
        given.push(demonstration);
        if (demonstration.passed) await passedOver(demonstration.passed);
      }
      const { length } = use.source;
      const line = await trainer.train(given, {
        signal,
        ...(length ? { questions_in_epoch: length } : {}),
      });
      return { line: { ...line, ...skippedQuestions(given) }, rows: [] };
    } finally {
      for (const { visual } of given) visual.buffer.destroy();
    }
  }

  destroy(): void {
    this.trainer.destroy();
  }
}
