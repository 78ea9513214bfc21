import { solutionLetter } from '../../data/question-file';
import type { Generator } from '../../generate/generate';
import { parseTrace } from '../../generate/think-parser';
import { accuracy_reward } from '../../grpo/rewards/accuracy-reward';
import { format_reward } from '../../grpo/rewards/format-reward';
import type { DecoderSteps } from '../../model/decoder-steps';
import { pythonStrip } from '../../model/python-text';
import type { TinyLlava } from '../../model/tiny-llava';
import type { EvalLine } from '../training-protocol';
import type { QuestionSource, RunQuestion } from './question-source';
import { type SelfCheck, selfCheck, selfCheckShares } from './self-checks';

/** Sampled answers of every check are drawn with these, so that checks differ by the adapter alone. */
const SAMPLED = { temperature: 1, top_k: 0, top_p: 1, seed: 1 };
const GREEDY = { ...SAMPLED, temperature: 0 };

/** What a check is made with. */
export interface HeldOutCheck {
  model: TinyLlava;
  generator: Generator;
  /** The decoder with the adapter. */
  steps: DecoderSteps;
  source: QuestionSource;
  /** Questions 0 to count - 1 of the held-out ones. */
  count: number;
  max_new_tokens: number;
  signal: AbortSignal;
  onProgress: (done: number, total: number) => void;
}

/** Answers the held-out questions once greedily and once sampled. @throws the signal's reason when aborted. */
export async function checkHeldOut(check: HeldOutCheck): Promise<Omit<EvalLine, 'step'>> {
  const { source, count, signal, onProgress } = check;
  const right = { greedy: 0, sampled: 0, formed: 0 };
  const checks: SelfCheck[] = [];
  for (let number = 0; number < count; number++) {
    signal.throwIfAborted();
    onProgress(number, count);
    const question = await source.heldOut(number, signal);
    const letter = solutionLetter(question.solution);
    try {
      const greedy = await answer(check, question, number, GREEDY);
      right.greedy += accuracy_reward(pythonStrip(greedy), question.solution);
      const sampled = await answer(check, question, number, SAMPLED);
      const text = pythonStrip(sampled);
      right.sampled += accuracy_reward(text, question.solution);
      right.formed += format_reward(text) > 0 ? 1 : 0;
      checks.push(selfCheck(parseTrace(sampled, { options: question.options }), question.options, letter));
    } finally {
      question.visual.buffer.destroy();
    }
  }
  check.generator.forget();
  onProgress(count, count);
  return {
    questions: count,
    accuracy_sampled: right.sampled / count,
    accuracy_greedy: right.greedy / count,
    format_rate: right.formed / count,
    ...selfCheckShares(checks),
  };
}

async function answer(
  { generator, model, steps, max_new_tokens, signal }: HeldOutCheck,
  { prompt_ids, visual }: RunQuestion,
  question: number,
  settings: typeof SAMPLED,
): Promise<string> {
  const ids: number[] = [];
  const request = { prompt_ids, visual, settings, max_new_tokens, question, steps, signal };
  for await (const drawn of generator.generate(request)) for (const { record } of drawn) ids.push(record.id);
  signal.throwIfAborted();
  return model.tokenizer.decode(ids);
}
