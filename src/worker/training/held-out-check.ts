import { solutionLetter } from '../../data/question-file';
import type { BatchGenerator } from '../../generate/batch-generator';
import { parseTrace } from '../../generate/think-parser';
import { accuracy_reward } from '../../grpo/rewards/accuracy-reward';
import { format_reward } from '../../grpo/rewards/format-reward';
import { type SelfCheck, selfCheck, selfCheckShares } from '../../grpo/self-check';
import type { DecoderSteps } from '../../model/decoder-steps';
import { pythonStrip } from '../../model/python-text';
import type { TinyLlava } from '../../model/tiny-llava';
import type { EvalLine } from '../training-protocol';
import type { QuestionSource, RunQuestion } from './question-source';

/** Sampled answers of every check are drawn with these, so that checks differ by the adapter alone. */
const SAMPLED = { temperature: 1, top_k: 0, top_p: 1, seed: 1 };
const GREEDY = { ...SAMPLED, temperature: 0 };

/** What a check is made with. */
export interface HeldOutCheck {
  model: TinyLlava;
  generator: BatchGenerator;
  /** The decoder with the adapter. */
  steps: DecoderSteps;
  source: Pick<QuestionSource, 'heldOut'>;
  /** Questions 0 to count - 1 of the held-out ones. */
  count: number;
  max_new_tokens: number;
  /** Questions that are answered side by side. Default 16. */
  side_by_side?: number;
  signal: AbortSignal;
  onProgress: (done: number, total: number) => void;
}

/** Answers the held-out questions once greedily and once sampled. @throws the signal's reason when aborted. */
export async function checkHeldOut(check: HeldOutCheck): Promise<Omit<EvalLine, 'step'>> {
  const { source, count, side_by_side = 16, signal, onProgress } = check;
  const right = { greedy: 0, sampled: 0, formed: 0 };
  const checks: SelfCheck[] = [];
  for (let first = 0; first < count; first += side_by_side) {
    const questions: RunQuestion[] = [];
    try {
      for (let number = first; number < Math.min(count, first + side_by_side); number++) {
        signal.throwIfAborted();
        questions.push(await source.heldOut(number, signal));
        onProgress(number, count);
      }
      for (const [i, [greedy, sampled]] of (await answers(check, questions, first)).entries()) {
        const { solution, options } = questions[i]!;
        right.greedy += accuracy_reward(pythonStrip(greedy), solution);
        const text = pythonStrip(sampled);
        right.sampled += accuracy_reward(text, solution);
        right.formed += format_reward(text) > 0 ? 1 : 0;
        checks.push(selfCheck(parseTrace(sampled, { options }), options, solutionLetter(solution)));
      }
    } finally {
      for (const { visual } of questions) visual.buffer.destroy();
    }
  }
  onProgress(count, count);
  return {
    questions: count,
    accuracy_sampled: right.sampled / count,
    accuracy_greedy: right.greedy / count,
    format_rate: right.formed / count,
    ...selfCheckShares(checks),
  };
}

/** The greedy and the sampled answer to each of some questions. */
async function answers(
  { generator, model, steps, max_new_tokens, signal }: HeldOutCheck,
  questions: readonly RunQuestion[],
  first: number,
): Promise<[string, string][]> {
  const ids = questions.map((): [number[], number[]] => [[], []]);
  const batch = generator.generate({
    prompts: questions.map(({ prompt_ids, visual }, i) => ({ prompt_ids, visual, question: first + i })),
    answers: [
      { sample: 0, settings: GREEDY },
      { sample: 0, settings: SAMPLED },
    ],
    max_new_tokens,
    steps,
    signal,
  });
  for await (const drawn of batch)
    for (const { prompt, answer, record } of drawn) ids[prompt]![answer]!.push(record.id);
  signal.throwIfAborted();
  return ids.map(([greedy, sampled]) => [model.tokenizer.decode(greedy), model.tokenizer.decode(sampled)]);
}
