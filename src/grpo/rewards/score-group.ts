import { pythonStrip } from '../../model/python-text';
import { accuracy_reward } from './accuracy-reward';
import { format_reward } from './format-reward';
import { repetition_penalty_reward } from './repetition-penalty-reward';
import { REWARD_KEYS, type RewardSetting } from './reward-setting';
import { signed_reward } from './signed-reward';
import { soft_overlong_punishment_reward } from './soft-overlong-punishment';
import { think_format_reward } from './think-format-reward';

/** What a reward sees of an answer. */
export interface RewardAnswer {
  /** Decoded without special tokens. */
  text: string;
  /** The drawn token ids, the end token included. */
  tokens: readonly number[];
}

/** What a reward sees of a question. */
export interface RewardQuestion {
  /** `question\nOptions:\nA. …`. */
  problem: string;
  /** `<answer>C</answer>`. */
  solution: string;
}

/** The user's own function over the answers of a group; stripped texts, lengths in tokens. */
export type UserReward = (
  answers: readonly { text: string; problem: string; solution: string; tokens: number }[],
) => readonly number[] | Promise<readonly number[]>;

/** A group's rewards and what they are made of. */
export interface GroupScores {
  /** The weighted sums, `[G]`. */
  rewards: number[];
  /** Of each reward function by the name under which it is logged, unweighted, `[G]`. */
  functions: Record<string, number[]>;
}

/** A larger score of the user's function is a slip, whose square leaves the numbers that a float32 has. */
const MOST_SCORE = 1e6;

/** A reward function failed: the step it was called in is not used. `message` is a sentence for the user. */
export class RewardError extends Error {
  override name = 'RewardError';
  constructor(
    /** The reward function. */
    readonly reward: string,
    /** Places of the answers that it failed on. */
    readonly failed: readonly number[],
    /** Answers of the group. */
    readonly answers: number,
    /** What it threw or gave. */
    readonly reason: string,
  ) {
    super(`${reward} ${reason} on ${failed.length} of ${answers} answers.`);
  }
}

/** What the rewards of a run need to know besides answer and question. */
export interface RewardOptions {
  max_completion_length: number;
  /** Thoughts of this many characters get the whole length reward; the original's 1200 by default. */
  max_length_reward?: number;
  /** Runs `user_reward`. */
  user?: UserReward;
}

/**
 * Scores a group by the rewards of a run. Texts are stripped first, as in the original's trainer. `signed_reward` is
 * logged with the accuracy and the format that it is made of.
 * @throws RewardError where the user's function throws, or gives anything but a finite number for each answer.
 */
export async function scoreGroup(
  settings: readonly RewardSetting[],
  answers: readonly RewardAnswer[],
  question: RewardQuestion,
  options: RewardOptions,
): Promise<GroupScores> {
  const user = settings.some(isUsers) ? await userScores(answers, question, options) : [];
  return sumScores(settings, answers, question, options, user);
}

/**
 * Scores one answer as `scoreGroup` does, before the others of its group have ended; undefined where the user's
 * function is among the rewards, which is asked for whole groups.
 */
export function scoreAlone(
  settings: readonly RewardSetting[],
  answer: RewardAnswer,
  question: RewardQuestion,
  options: Omit<RewardOptions, 'user'>,
): { reward: number; rewards: Record<string, number> } | undefined {
  if (settings.some(isUsers)) return undefined;
  const { rewards, functions } = sumScores(settings, [answer], question, options, []);
  return {
    reward: rewards[0]!,
    rewards: Object.fromEntries(Object.entries(functions).map(([name, [value]]) => [name, value!])),
  };
}

const isUsers = ({ name }: RewardSetting) => name === 'user_reward';

/** @param user scores of the user's function, where the settings have it. */
function sumScores(
  settings: readonly RewardSetting[],
  answers: readonly RewardAnswer[],
  question: RewardQuestion,
  options: RewardOptions,
  user: readonly number[],
): GroupScores {
  const texts = answers.map(({ text }) => pythonStrip(text));
  const functions: Record<string, number[]> = {};
  const rewards = new Array<number>(answers.length).fill(0);
  for (const setting of settings) {
    const own = answers.map((_, i) => score(setting, i));
    functions[REWARD_KEYS[setting.name]] = own;
    for (const [i, value] of own.entries()) rewards[i]! += setting.weight * value;
  }
  // Rewards are float32 in PyTorch.
  return { rewards: rewards.map(Math.fround), functions };

  function score(setting: RewardSetting, i: number): number {
    const text = texts[i]!;
    const { tokens } = answers[i]!;
    const { max_completion_length, max_length_reward } = options;
    switch (setting.name) {
      case 'signed_reward': {
        const accuracy = accuracy_reward(text, question.solution);
        const format = format_reward(text, max_length_reward);
        (functions.accuracy_reward ??= [])[i] = accuracy;
        (functions.format_reward ??= [])[i] = format;
        return signed_reward(accuracy, format);
      }
      case 'accuracy_reward':
        return accuracy_reward(text, question.solution);
      case 'format_reward':
        return format_reward(text, max_length_reward);
      case 'think_format_reward':
        return think_format_reward(text);
      case 'soft_overlong_punishment': {
        const cache = setting.soft_punish_cache ?? Math.ceil(max_completion_length / 5);
        return soft_overlong_punishment_reward(tokens.length, max_completion_length, cache);
      }
      case 'repetition_penalty':
        return repetition_penalty_reward(tokens, setting.ngram_size, setting.max_penalty);
      case 'user_reward':
        return user[i]!;
    }
  }
}

async function userScores(
  answers: readonly RewardAnswer[],
  { problem, solution }: RewardQuestion,
  { user }: RewardOptions,
): Promise<number[]> {
  const everyone = answers.map((_, i) => i);
  const fail = (failed: readonly number[], reason: string) =>
    new RewardError('user_reward', failed, answers.length, reason);
  if (!user) throw fail(everyone, 'cannot be run here');
  let given: readonly number[];
  try {
    // What else a run knows of its question (GPU buffers) cannot be sent to where the function runs.
    given = await user(
      answers.map(({ text, tokens }) => ({
        problem,
        solution,
        text: pythonStrip(text),
        tokens: tokens.length,
      })),
    );
  } catch (cause) {
    if (cause instanceof RewardError) throw cause;
    throw fail(everyone, `threw "${cause instanceof Error ? cause.message : String(cause)}"`);
  }
  if (!Array.isArray(given) || given.length !== answers.length)
    throw fail(everyone, 'gave no list of one number an answer');
  const failed = everyone.filter((i) => !Number.isFinite(given[i]) || Math.abs(given[i]!) > MOST_SCORE);
  if (failed.length > 0)
    throw fail(failed, `gave ${String(given[failed[0]!])}, not a number from −1e6 to 1e6,`);
  return [...given];
}
