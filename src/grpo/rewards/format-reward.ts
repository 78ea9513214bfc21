import { PYTHON_SPACE, pythonLength, pythonStrip } from '../../model/python-text';

const WHOLE = new RegExp(`^<think>.*?</think>[${PYTHON_SPACE}]*<answer>.*?</answer>$`, 's');
const THINK = /<think>(.*?)<\/think>/s;
const TAGS = ['<think>', '</think>', '<answer>', '</answer>'];

/** Reward of the form alone. */
const FORMAT = 0.5;
/** Most that the length of the thinking adds, and the code points at which it is reached. */
const LENGTH = 0.5;
const MAX_LENGTH = 1200;

/**
 * How well a completion keeps the form, and how long it thinks (`train.py:format_reward` of TinyLLaVA-Video-R1):
 * 0 unless it is `<think>…</think><answer>…</answer>` and nothing else, with each tag once; then 0.5, and up to 0.5
 * more in proportion to the stripped thinking part's length, reached at 1200 Unicode code points.
 * @param content the completion's text, stripped.
 * @param max_length code points at which the length is fully rewarded; the original's 1200 by default.
 */
export function format_reward(content: string, max_length = MAX_LENGTH): number {
  if (!WHOLE.test(content) || TAGS.some((tag) => content.split(tag).length !== 2)) return 0;
  const think = pythonStrip(THINK.exec(content)![1]!);
  return FORMAT + LENGTH * Math.min(pythonLength(think) / max_length, 1);
}

/** What of a `format_reward` is for the length of the thinking. */
export function lengthPart(format: number): number {
  return Math.max(0, format - FORMAT);
}
