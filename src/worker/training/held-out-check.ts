import { solutionLetter } from '../../data/question-file';
import type { BatchGenerator } from '../../generate/batch-generator';
import { parseTrace } from '../../generate/think-parser';
import { accuracy_reward } from '../../grpo/rewards/accuracy-reward';
import { format_reward } from '../../grpo/rewards/format-reward';
import { type SelfCheck, selfCheck, selfCheckShares } from '../../grpo/self-check';
import type { DecoderSteps } from '../../model/decoder-steps';
import { pythonStrip } from '../../model/python-text';
import type { TinyLlava } from '../../model/tiny-llava';
import { VideoError } from '../../video/errors';
import type { EvalLine } from '../training-protocol';
import type { QuestionSource, RunQuestion } from './question-source';
import type { PassedOver } from './video-tokens';

/** Sampled answers of every check are drawn with these, so that checks differ by the adapter alone. */
const SAMPLED = { temperature: 1, top_k: 0, top_p: 1, seed: 1 };
const GREEDY = { ...SAMPLED, temperature: 0 };

/** Held-out questions that are answered side by side. */
export const SIDE_BY_SIDE = 16;

/** A held-out question with its number, which draws its sampled answer. */
type NumberedQuestion = RunQuestion & { number: number };

/** What a check is made with. */
export interface HeldOutCheck {
  model: TinyLlava;
  generator: BatchGenerator;
  /** The decoder with the adapter. */
  steps: DecoderSteps;
  source: Pick<QuestionSource, 'heldOut'>;
  /** Questions 0 to count - 1 of the held-out ones; those whose video cannot be read are left out. */
  count: number;
  max_new_tokens: number;
  /** Questions that are answered side by side. Default `SIDE_BY_SIDE`. */
  side_by_side?: number;
  signal: AbortSignal;
  onProgress: (done: number, total: number) => void;
}

/**
 * Answers the held-out questions once greedily and once sampled.
 * @throws VideoError where no video can be read, the signal's reason when aborted.
 */
export async function checkHeldOut(check: HeldOutCheck): Promise<Omit<EvalLine, 'step'>> {
  const right = { greedy: 0, sampled: 0, formed: 0 };
  let guessed = 0;
  const checks: SelfCheck[] = [];
  const asked = await answerAll(check, [GREEDY, SAMPLED], ({ solution, options }, [greedy, sampled]) => {
    guessed += 1 / options.length;
    right.greedy += accuracy_reward(pythonStrip(greedy!), solution);
    const text = pythonStrip(sampled!);
    right.sampled += accuracy_reward(text, solution);
    right.formed += format_reward(text) > 0 ? 1 : 0;
    checks.push(selfCheck(parseTrace(sampled!, { options }), options, solutionLetter(solution)));
  });
  return {
    questions: asked,
    ...(Number.isFinite(guessed) ? { chance: guessed / asked } : {}),
    accuracy_sampled: right.sampled / asked,
    accuracy_greedy: right.greedy / asked,
    format_rate: right.formed / asked,
    ...selfCheckShares(checks),
  };
}

/** `accuracy_sampled` of `checkHeldOut` without the greedy answers. @throws as `checkHeldOut`. */
export async function sampledAccuracy(check: HeldOutCheck): Promise<number> {
  let right = 0;
  const asked = await answerAll(check, [SAMPLED], ({ solution }, [sampled]) => {
    right += accuracy_reward(pythonStrip(sampled!), solution);
  });
  return right / asked;
}

/** Gives each question with its answers in the order of the settings. @returns the number of questions. */
async function answerAll(
  check: HeldOutCheck,
  settings: readonly (typeof SAMPLED)[],
  take: (question: NumberedQuestion, answers: readonly string[]) => void,
): Promise<number> {
  const { source, count, side_by_side = SIDE_BY_SIDE, signal, onProgress } = check;
  let asked = 0;
  let wrong: PassedOver | undefined;
  for (let first = 0; first < count; first += side_by_side) {
    const questions: NumberedQuestion[] = [];
    try {
      for (let number = first; number < Math.min(count, first + side_by_side); number++) {
        signal.throwIfAborted();
        const question = await source.heldOut(number, signal);
        if ('message' in question) wrong ??= question;
        else questions.push({ ...question, number });
        onProgress(number, count);
      }
      asked += questions.length;
      if (questions.length === 0) continue;
      for (const [i, texts] of (await answers(check, settings, questions)).entries())
        take(questions[i]!, texts);
    } finally {
      for (const { visual } of questions) visual.buffer.destroy();
    }
  }
  onProgress(count, count);
  if (asked === 0 && wrong) throw new VideoError('unreadable', wrong.message);
  return asked;
}

/** The answers to some questions, of each by each of the settings. */
async function answers(
  { generator, model, steps, max_new_tokens, signal }: HeldOutCheck,
  settings: readonly (typeof SAMPLED)[],
  questions: readonly NumberedQuestion[],
): Promise<string[][]> {
  const ids = questions.map(() => settings.map((): number[] => []));
  const batch = generator.generate({
    prompts: questions.map(({ prompt_ids, visual, number }) => ({ prompt_ids, visual, question: number })),
    answers: settings.map((one) => ({ sample: 0, settings: one })),
    max_new_tokens,
    steps,
    signal,
  });
  for await (const drawn of batch)
    for (const { prompt, answer, record } of drawn) ids[prompt]![answer]!.push(record.id);
  signal.throwIfAborted();
  return ids.map((of) => of.map((one) => model.tokenizer.decode(one)));
}
