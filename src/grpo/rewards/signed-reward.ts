import { pythonStrip } from '../../model/python-text';
import { accuracy_reward } from './accuracy-reward';
import { format_reward, lengthPart } from './format-reward';

/**
 * The reward of TinyLLaVA-Video-R1 and what it is made of. `accuracy`, `format` and `length` are signed as they enter
 * it, so they add up to `reward`; without a readable format and a right answer `reward` is -2 and they are undefined.
 */
export interface AnswerReward {
  reward: number;
  accuracy?: number;
  format?: number;
  length?: number;
}

/** The reward of a completion that has neither the form nor the right answer. */
const NOTHING_RIGHT = -2;

/**
 * a + (2a - 1) f in float32, where a is `accuracy_reward` and f is `format_reward`; -2 in the place of 0
 * (`tinyllava_trainer_reason.py`). So a wrong answer is punished the more, the longer the thinking before it.
 */
export function signed_reward(accuracy: number, format: number): number {
  const f = Math.fround(format);
  const reward = Math.fround(accuracy + Math.fround((2 * accuracy - 1) * f));
  return reward === 0 ? NOTHING_RIGHT : reward;
}

/**
 * Scores a completion as the original's trainer does.
 * @param text the completion, decoded without special tokens; it is stripped first.
 * @param solution the right answer, usually `<answer>X</answer>`.
 * @param max_length see `format_reward`.
 */
export function scoreAnswer(text: string, solution: string, max_length?: number): AnswerReward {
  const content = pythonStrip(text);
  const accuracy = accuracy_reward(content, solution);
  const format = format_reward(content, max_length);
  const reward = signed_reward(accuracy, format);
  if (accuracy === 0 && format === 0) return { reward };
  const sign = accuracy === 1 ? 1 : -1;
  const length = lengthPart(format);
  const signed = (value: number) => (value === 0 ? 0 : sign * value);
  return { reward, accuracy, format: signed(format - length), length: signed(length) };
}
