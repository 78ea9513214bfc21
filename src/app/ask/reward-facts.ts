import type { AnswerReward } from '../../worker/protocol';
import { formatSigned } from '../shared/format';

/**
 * What a reward is made of, a name and a value each. The parts add up to the reward; of one that has none, because
 * neither format nor answer is right, it is said in words.
 */
export function rewardParts({ accuracy, format, length }: AnswerReward): { name: string; value: string }[] {
  if (accuracy === undefined && format === undefined && length === undefined) {
    return [
      { name: 'accuracy', value: 'not right' },
      { name: 'format', value: 'missing' },
    ];
  }
  const part = (name: string, value: number | undefined) => ({
    name,
    value: value === undefined ? '–' : formatSigned(value).replace('+', ''),
  });
  return [part('accuracy', accuracy), part('format', format), part('length', length)];
}

/** The same as one line: "accuracy 1.00, format 0.50, length 0.06". */
export function describeReward(reward: AnswerReward): string {
  return rewardParts(reward)
    .map(({ name, value }) => `${name} ${value}`)
    .join(', ');
}
