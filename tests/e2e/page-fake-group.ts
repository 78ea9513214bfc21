import type { Page } from '@playwright/test';
import type { AnswerReward, EngineEvent, FinishReason, TokenInfo, Trace } from '../../src/worker/protocol';
import {
  emit,
  fakeStats,
  fakeToken,
  installFakeEngine,
  lastId,
  loadFakeModel,
  readFakeVideo,
} from './page-fake-engine';

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

/**
 * Streams `total` long answers into the page, from inside of it, as fast as it draws: `perEvent` tokens of each in an
 * event. Every second part of a thought is short sentences, every other one has no end.
 */
export async function streamLongAnswers(
  page: Page,
  { total, tokens, perEvent }: { total: number; tokens: number; perEvent: number },
): Promise<void> {
  const id = await lastId(page, 'ask');
  const word = fakeToken(' word', 0.4, 1);
  const stop = fakeToken('.', 0.01, 2);
  await page.evaluate(
    async ({ id, total, tokens, perEvent, word, stop, stats }) => {
      const { fakeEngine: engine } = window as unknown as {
        fakeEngine: { onmessage: (event: { data: unknown }) => void };
      };
      const sentences: { text: string; start: number; end: number }[] = [];
      let text = '';
      for (let written = 0; written < tokens; written += perEvent) {
        const fresh = Array.from({ length: perEvent }, (_, i) => {
          const at = written + i;
          const ends = at % 10 === 9 && Math.floor(at / 400) % 2 === 0;
          const token = { ...(ends ? stop : word), entropy: ((at * 7919) % 1000) / 500 };
          text += token.text;
          const last = sentences.at(-1);
          if (last && !last.text.endsWith('.'))
            Object.assign(last, { text: last.text + token.text, end: at + 1 });
          else sentences.push({ text: token.text, start: at, end: at + 1 });
          return token;
        });
        for (let sample = 0; sample < total; sample++) {
          const trace = { phase: 'think', text, sentences, problems: [] };
          // As from a worker: nothing is shared with what was posted before.
          engine.onmessage({
            data: structuredClone({ type: 'tokens', id, sample, tokens: fresh, trace, stats }),
          });
        }
        await new Promise((resolve) => requestAnimationFrame(resolve));
      }
    },
    { id, total, tokens, perEvent, word, stop, stats: fakeStats(tokens) },
  );
}

/** Opens the page with a fake engine, a video and a question of four options, ready to ask. */
export async function readyToAsk(page: Page): Promise<void> {
  await installFakeEngine(page);
  await page.goto('./');
  await loadFakeModel(page);
  await page
    .getByTestId('video-input')
    .setInputFiles({ name: 'clip.mp4', mimeType: 'video/mp4', buffer: Buffer.from('for the engine') });
  await readFakeVideo(page);
  await page.getByTestId('question').fill('Which way does the red circle move?');
  for (const [letter, text] of Object.entries({ A: 'left', B: 'down', C: 'right', D: 'up' })) {
    await page.getByLabel(`Option ${letter}`, { exact: true }).fill(text);
  }
}

/** The answers of the group that is shown. */
export const columns = (page: Page) => page.getByTestId('group-answer');
