import { pythonStrip } from '../../model/python-text';
import { sameNumber } from './same-number';

// Python's `.` stops at "\n" alone.
const ANSWER = /<answer>([^\n]*?)<\/answer>/;

/**
 * Whether an answer is right: 1 or 0 (`train.py:accuracy_reward` of TinyLLaVA-Video-R1). What stands in the answer tag,
 * or the whole text where there is none on one line, must equal the solution, or begin with it where that is one
 * character. Upper and lower case differ. A solution without tags that is a number is also compared by its value,
 * in the place of the original's math-verify, of which only that much is here.
 * @param content the completion's text, stripped.
 * @param solution the right answer, usually `<answer>X</answer>`.
 */
export function accuracy_reward(content: string, solution: string): 0 | 1 {
  const tagged = ANSWER.exec(solution);
  const truth = pythonStrip(tagged?.[1] ?? solution);
  const answer = pythonStrip(ANSWER.exec(content)?.[1] ?? content);
  if (!tagged && sameNumber(answer, truth)) return 1;
  const [first] = answer;
  return first !== undefined && (answer === truth || first === truth) ? 1 : 0;
}
