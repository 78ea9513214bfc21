/** Runs GRPO on the toy world in the browser. Driven by `npm run train`. */

import type { ToyQuestion } from '../../data/toy';
import { Generator } from '../../generate/generate';
import { ThinkParser } from '../../generate/think-parser';
import { openGpu } from '../../gpu/device';
import { type GrpoConfig, TOY } from '../../grpo/grpo-config';
import { accuracy_reward } from '../../grpo/rewards/accuracy-reward';
import { format_reward } from '../../grpo/rewards/format-reward';
import { scoreGroup } from '../../grpo/rewards/score-group';
import type { StepMetrics } from '../../grpo/step-metrics';
import { GrpoTrainer } from '../../grpo/trainer';
import { LoraAdapter } from '../../lora/adapter';
import { DEFAULT_LORA } from '../../lora/lora-config';
import type { DecoderSteps } from '../../model/decoder-steps';
import { pythonStrip } from '../../model/python-text';
import { TinyLlava } from '../../model/tiny-llava';
import { urlStore } from '../../weights/file-store';
import { ToyQuestions } from '../../worker/training/toy-questions';

/** Thoughts of this many characters get the whole length reward: the toy's are far shorter than the original's 1200. */
const MAX_LENGTH = 300;

/** What the command line asks for. */
export interface TrainingRequest {
  modelUrl: string;
  steps: number;
  seed: number;
  /** Held-out questions before and after. */
  evalQuestions: number;
  config: Partial<GrpoConfig>;
}

/** Shares of held-out answers. */
export interface TrainingEval {
  accuracy_sampled: number;
  accuracy_greedy: number;
  format_rate: number;
  /** Of the sampled answers. */
  self_check_rate: number;
}

/** What a run gives at its end. */
export interface TrainingReport {
  steps: number;
  seconds: number;
  seed: number;
  eval_before: TrainingEval;
  eval_after: TrainingEval;
}

declare global {
  interface Window {
    trainModel(request: TrainingRequest): Promise<TrainingReport>;
    /** Set by the command line. */
    reportStep?(line: StepMetrics): void;
  }
}

window.trainModel = async ({ modelUrl, steps, seed, evalQuestions, config: change }) => {
  const start = performance.now();
  const gpu = await openGpu();
  const model = await TinyLlava.load(gpu, urlStore(modelUrl));
  const config: GrpoConfig = { ...TOY, max_steps: steps, seed, ...change };
  const adapter = LoraAdapter.create(gpu, DEFAULT_LORA, model.config.text_config);
  adapter.initialise(seed);
  const toy = await ToyQuestions.create(gpu, model);
  let asked: ToyQuestion[] = [];
  const trainer = await GrpoTrainer.create(gpu, model, adapter, config, (texts, question, tokens) =>
    scoreGroup(
      [{ name: 'signed_reward', weight: 1 }],
      texts.map((text, i) => ({ text, tokens: tokens[i]! })),
      asked[question]!,
      { max_completion_length: config.max_completion_length, max_length_reward: MAX_LENGTH },
    ),
  );
  const decoder = await model.language.adapt(adapter.decoder, adapter);
  const generator = await Generator.create(gpu, model);
  const evaluate = () => evaluateDecoder(generator, model, toy, decoder, config, evalQuestions);
  const eval_before = await evaluate();
  for (let step = 0; step < steps; step++) {
    const questions = [];
    for (let i = 0; i < config.questions_per_step; i++)
      questions.push(await toy.training(seed, step * config.questions_per_step + i));
    asked = questions.map(({ question }) => question);
    const { metrics } = await trainer.train(
      questions.map(({ question, ...inputs }) => ({
        ...inputs,
        about: question,
      })),
    );
    for (const { visual } of questions) visual.buffer.destroy();
    window.reportStep?.(metrics);
  }
  const eval_after = await evaluate();
  return { steps, seconds: (performance.now() - start) / 1000, seed, eval_before, eval_after };
};

/** The same held-out questions each time: one greedy and one sampled answer to each. */
async function evaluateDecoder(
  generator: Generator,
  model: TinyLlava,
  toy: ToyQuestions,
  steps: DecoderSteps,
  { max_completion_length }: GrpoConfig,
  count: number,
): Promise<TrainingEval> {
  const right = { greedy: 0, sampled: 0, formed: 0, checks: 0 };
  for (let number = 0; number < count; number++) {
    const { question, prompt_ids, visual } = await toy.heldOut(number);
    for (const mode of ['greedy', 'sampled'] as const) {
      const ids: number[] = [];
      const tokens = generator.generate({
        prompt_ids,
        visual,
        settings: { temperature: mode === 'greedy' ? 0 : 1, top_k: 0, top_p: 1, seed: 1 },
        max_new_tokens: max_completion_length,
        question: number,
        steps,
      });
      for await (const drawn of tokens) for (const { record } of drawn) ids.push(record.id);
      const text = pythonStrip(model.tokenizer.decode(ids));
      right[mode] += accuracy_reward(text, `<answer>${question.answer}</answer>`);
      if (mode === 'greedy') continue;
      right.formed += format_reward(text) > 0 ? 1 : 0;
      right.checks += Number(checksItself(text));
    }
    visual.buffer.destroy();
  }
  generator.forget();
  return {
    accuracy_sampled: right.sampled / count,
    accuracy_greedy: right.greedy / count,
    format_rate: right.formed / count,
    self_check_rate: right.checks / count,
  };
}

function checksItself(text: string): boolean {
  const parser = new ThinkParser([]);
  parser.push(text);
  return parser.end('').sentences.some(({ aha }) => aha !== undefined);
}
