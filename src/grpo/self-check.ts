import { concludedOption } from '../generate/conclusions';
import { parseTrace } from '../generate/think-parser';

/** Whether an answer checks itself, and what came of it. */
export interface SelfCheck {
  /** A sentence of the trace checks or corrects what came before it. */
  aha: boolean;
  /** Whether the last conclusion before the first such sentence is right; left out where there is none. */
  right_before?: boolean;
}

/**
 * Looks for self-checks in an answer's text, by the rules of the Ask page.
 * @param options texts of the question's options; without them conclusions are not known.
 * @param solution the right option's letter.
 */
export function selfCheck(text: string, options: readonly string[], solution: string): SelfCheck {
  const { sentences } = parseTrace(text, { options });
  const first = sentences.findIndex(({ aha }) => aha !== undefined);
  if (first < 0) return { aha: false };
  const before = sentences
    .slice(0, first)
    .flatMap((sentence) => concludedOption(sentence.text, options) ?? [])
    .at(-1);
  if (before === undefined) return { aha: true };
  return { aha: true, right_before: before === solution.charCodeAt(0) - 65 };
}

/**
 * The log's shares: `self_check_rate` of all answers; `checked_right_before` and `checked_right_after` of those that
 * check a conclusion, the two left out where none does.
 * @param answers with whether each is right in the end.
 */
export function selfCheckMetrics(
  answers: readonly (SelfCheck & { right: boolean })[],
): Record<string, number> {
  if (answers.length === 0) return {};
  const checked = answers.filter(({ right_before }) => right_before !== undefined);
  const share = (of: readonly boolean[]) => of.filter(Boolean).length / of.length;
  return {
    self_check_rate: share(answers.map(({ aha }) => aha)),
    ...(checked.length === 0
      ? {}
      : {
          checked_right_before: share(checked.map(({ right_before }) => right_before!)),
          checked_right_after: share(checked.map(({ right }) => right)),
        }),
  };
}
