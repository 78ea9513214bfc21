import { type CompletionRow, completionRows } from '../../grpo/completion-row';
import { type GroupScores, RewardError, scoreGroup } from '../../grpo/rewards/score-group';
import { GrpoTrainer, type RewardFunction } from '../../grpo/trainer';
import type { LoraAdapter } from '../../lora/adapter';
import type { DecoderSteps } from '../../model/decoder-steps';
import { LiveGroups } from './live-groups';
import type { RunQuestion } from './question-source';
import { QuestionError } from './run-ending';
import { type RunStage, type StageContext, skippedQuestions, type TakenStep } from './run-stage';

/** GRPO's steps: questions of the run's source, live groups, the run's rewards. */
export class GrpoStage implements RunStage {
  private constructor(
    private readonly context: StageContext,
    readonly trainer: GrpoTrainer,
    /** Scores a group of the step under way. */
    private readonly scoring: { score: RewardFunction },
  ) {}

  /** Compiles all passes. */
  static async create(context: StageContext, adapter: LoraAdapter): Promise<GrpoStage> {
    const { gpu, model } = context.use;
    const scoring: { score: RewardFunction } = {
      score: () => {
        throw new Error('No step is under way.');
      },
    };
    // The trainer reads settings from this object at each step.
    const { grpo } = context.config();
    const trainer = await GrpoTrainer.create(gpu, model, adapter, grpo, (...group) =>
      scoring.score(...group),
    );
    return new GrpoStage(context, trainer, scoring);
  }

  get steps(): DecoderSteps {
    return this.trainer.steps;
  }

  async take(): Promise<TakenStep> {
    const { trainer, scoring } = this;
    const { run, use, signal, post, progress, config, passedOver, skips } = this.context;
    const { source } = use;
    const { questions_per_step, seed, max_completion_length, ...grpo } = config().grpo;
    const { temperature, top_k, top_p, min_p = 0 } = grpo;
    const first = trainer.step * questions_per_step;
    const step = trainer.step + 1;
    const questions: RunQuestion[] = [];
    try {
      for (let i = 0; i < questions_per_step; i++) {
        progress(`question ${i + 1} of ${questions_per_step}`, i, questions_per_step);
        const question = await source.training(seed, first + i, signal, skips(first + i));
        questions.push(question);
        if (question.passed) await passedOver(question.passed);
      }
      const settings = { temperature, top_k, top_p, min_p, max_new_tokens: max_completion_length, seed };
      const group = { run, step, first, questions, settings, config: config() };
      const live = new LiveGroups(use.model.tokenizer, group, post);
      scoring.score = (texts, place, tokens) => {
        live.end(place);
        const answers = texts.map((text, i) => ({ text, tokens: tokens[i]! }));
        return this.score(answers, questions[place]!, first + place);
      };
      const rows: CompletionRow[] = [];
      const asked = questions.map((question) => ({ ...question, about: question }));
      const { metrics: line } = await trainer.train(asked, {
        signal,
        ...(source.length ? { questions_in_epoch: source.length } : {}),
        onTokens: (place, drawn) => live.push(place, drawn),
        onGroup: (place, completions) => {
          const own = completionRows(questions[place]!, completions, { step, question: first + place });
          rows.push(...own);
          post({ type: 'group-scored', run, question: first + place, rows: own });
          progress(`update, question ${place + 1} of ${questions_per_step}`, place, questions_per_step);
        },
      });
      return { line: { ...line, ...skippedQuestions(questions) }, rows };
    } finally {
      for (const { visual } of questions) visual.buffer.destroy();
    }
  }

  destroy(): void {
    this.trainer.destroy();
  }

  private async score(
    answers: readonly { text: string; tokens: readonly number[] }[],
    question: RunQuestion,
    number: number,
  ): Promise<GroupScores> {
    const { use, signal, config } = this.context;
    const { rewards, grpo, max_length_reward } = config();
    const code = rewards.find(({ name }) => name === 'user_reward')?.code ?? '';
    try {
      return await scoreGroup(rewards, answers, question, {
        max_completion_length: grpo.max_completion_length,
        max_length_reward,
        user: (given) => use.calls.score(code, [...given], signal),
      });
    } catch (cause) {
      signal.throwIfAborted();
      if (cause instanceof RewardError) throw new QuestionError(number, cause);
      throw cause;
    }
  }
}
