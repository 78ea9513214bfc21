import { concludedOption } from '../generate/conclusions';
import type { Trace } from '../generate/trace';
import { pythonStrip } from '../model/python-text';
import { accuracy_reward } from './rewards/accuracy-reward';

/** What an answer's check of itself did. Undefined parts: it does not check itself, or concludes nothing before. */
export interface SelfCheck {
  /** A sentence of the trace checks or corrects what came before it. */
  checks: boolean;
  rightBefore?: boolean;
  rightAfter?: boolean;
}

/**
 * Whether a trace checks itself, and where it does: whether the last conclusion before its first check was right, and
 * whether the answer is. `letter` is the right option's; '' where the question has no options.
 */
export function selfCheck(trace: Trace, options: readonly string[], letter: string): SelfCheck {
  const first = trace.sentences.findIndex(({ aha }) => aha !== undefined);
  if (first < 0) return { checks: false };
  const before = trace.sentences
    .slice(0, first)
    .flatMap(({ text }) => concludedOption(text, options) ?? [])
    .at(-1);
  if (before === undefined || letter === '') return { checks: true };
  return {
    checks: true,
    rightBefore: before === letter.charCodeAt(0) - 65,
    rightAfter: accuracy_reward(pythonStrip(trace.text), `<answer>${letter}</answer>`) === 1,
  };
}

/** The shares of several answers; those of right ones are left out where no answer counts. */
export function selfCheckShares(checks: readonly SelfCheck[]): {
  self_check_rate: number;
  checked_right_before?: number;
  checked_right_after?: number;
} {
  const judged = checks.filter(({ rightBefore }) => rightBefore !== undefined);
  const share = (of: readonly SelfCheck[], is: (check: SelfCheck) => boolean | undefined) =>
    of.filter(is).length / of.length;
  return {
    self_check_rate: share(checks, (check) => check.checks),
    ...(judged.length > 0
      ? {
          checked_right_before: share(judged, (check) => check.rightBefore),
          checked_right_after: share(judged, (check) => check.rightAfter),
        }
      : {}),
  };
}
