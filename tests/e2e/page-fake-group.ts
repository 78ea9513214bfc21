import type { Page } from '@playwright/test';
import type { AnswerReward, EngineEvent, FinishReason, TokenInfo, Trace } from '../../src/worker/protocol';
import { emit, fakeStats, fakeToken, lastId } from './page-fake-engine';

interface Made {
  /** Sentences of the thought; one that begins with "!" is marked. */
  thought: string[];
  answer?: string;
  reason?: FinishReason;
  reward: AnswerReward;
}

const right = (length: number): AnswerReward => ({ reward: 1.5 + length, accuracy: 1, format: 0.5, length });
const wrong = (length: number): AnswerReward => ({
  reward: -0.5 - length,
  accuracy: 0,
  format: -0.5,
  length: -length,
});

/** Answers of a made-up group, one for each column. */
const GROUP: Made[] = [
  {
    thought: [
      'I think it is left.',
      '!Wait, let me look again.',
      'The red circle is at the top first and at the bottom last.',
      'So it moves down.',
    ],
    answer: 'B',
    reward: right(0.06),
  },
  {
    thought: ['The red circle starts at the top.', 'It ends at the bottom.', 'So it moves down.'],
    answer: 'B',
    reward: right(0.04),
  },
  { thought: ['The blue square moves right.', 'So the answer is right.'], answer: 'A', reward: wrong(0.03) },
  {
    thought: [
      'At first the red circle is at the top left.',
      '!Hmm, check the last frame.',
      'It is at the bottom left now.',
      'The column did not change.',
      'So it moves down.',
    ],
    answer: 'B',
    reward: right(0.08),
  },
  {
    thought: Array.from({ length: 40 }, () => 'I think it is left.'),
    reason: 'length',
    reward: { reward: -2 },
  },
  {
    thought: ['The red circle goes from row 1 to row 3.', 'So it moves down.'],
    answer: 'B',
    reward: right(0.04),
  },
  {
    thought: ['I think it is left.', 'The red circle is on the left.', 'So it moves left.'],
    answer: 'A',
    reward: wrong(0.04),
  },
  {
    thought: ['I think it is up.', '!No, the first frame is the top one.', 'So it moves down.'],
    answer: 'B',
    reward: right(0.06),
  },
];

const WORD_IDS = new Map<string, number>();

/** Tokens and trace of one of the made-up answers, after `count` tokens. */
export function fakeSample(
  index: number,
  count = Number.POSITIVE_INFINITY,
): { tokens: TokenInfo[]; trace: Trace } {
  const { thought, answer } = GROUP[index]!;
  const words = ['<think>'];
  const bounds: { start: number; end: number; marked: boolean }[] = [];
  thought.forEach((sentence, at) => {
    const start = words.length;
    const text = sentence.replace('!', '');
    words.push(...text.split(/(?= |\.|,)/).map((word, i) => (i === 0 && at > 0 ? ` ${word}` : word)));
    bounds.push({ start, end: words.length, marked: sentence.startsWith('!') });
  });
  if (answer) words.push('</think>', '<answer>', answer, '</answer>');
  const tokens = words.slice(0, count).map((text, place) => {
    if (!WORD_IDS.has(text)) WORD_IDS.set(text, WORD_IDS.size);
    return fakeToken(text, Math.abs(Math.sin(place * 7.3 + index)) ** 4 * 1.3, WORD_IDS.get(text)!);
  });
  const textOf = (start: number, end: number) =>
    tokens
      .slice(start, end)
      .map(({ text }) => text)
      .join('');
  const whole = textOf(0, tokens.length);
  return {
    tokens,
    trace: {
      phase: whole.endsWith('</answer>') ? 'done' : 'think',
      text: whole,
      sentences: bounds
        .filter(({ start }) => start < tokens.length)
        .map(({ start, end, marked }) => ({
          text: textOf(start, Math.min(end, tokens.length)).trim(),
          start,
          end: Math.min(end, tokens.length),
          ...(marked && end <= tokens.length
            ? { aha: { kind: 'checks' as const, rule: 'wait', label: 'checks itself' } }
            : {}),
        })),
      ...(answer && whole.includes('</answer>') ? { answer } : {}),
      problems: answer ? [] : ['<think> is never closed.'],
    },
  };
}

/** The first tokens of `total` answers. */
export async function streamFakeGroup(page: Page, total: number, count: number): Promise<void> {
  const id = await lastId(page, 'ask');
  await emit(
    page,
    { type: 'ask-started', id, promptTokens: 164 },
    ...Array.from({ length: total }, (_, sample): EngineEvent => {
      const { tokens, trace } = fakeSample(sample, count);
      return { type: 'tokens', id, sample, tokens, trace, stats: fakeStats(tokens.length) };
    }),
  );
}

/** The rest of `total` answers after their first `from` tokens; with rewards where `label` is set. */
export async function endFakeGroup(page: Page, total: number, from: number, label: boolean): Promise<void> {
  const id = await lastId(page, 'ask');
  const rewards = GROUP.slice(0, total).map(({ reward }) => reward.reward);
  const mean = rewards.reduce((sum, reward) => sum + reward, 0) / total;
  const std = Math.sqrt(rewards.reduce((sum, reward) => sum + (reward - mean) ** 2, 0) / (total - 1));
  const events = Array.from({ length: total }, (_, sample): EngineEvent[] => {
    const { tokens, trace } = fakeSample(sample);
    const { reason, reward } = GROUP[sample]!;
    const about = { id, sample, trace, stats: fakeStats(tokens.length) };
    return [
      { type: 'tokens', ...about, tokens: tokens.slice(from) },
      { type: 'answered', ...about, reason: reason ?? 'eos', ...(label ? { reward } : {}) },
    ];
  });
  await emit(page, ...events.flat(), {
    type: 'ask-done',
    id,
    group: {
      prefixTokens: 164,
      prefillMs: 84,
      decodeMs: 900,
      newTokens: 400,
      tokensPerSecond: 604,
      kvBytes: 3_200_000,
      ...(label ? { advantages: rewards.map((reward) => (reward - mean) / (std + 1e-4)) } : {}),
    },
  });
}
