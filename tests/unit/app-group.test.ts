import { describe, expect, it } from 'vitest';
import type { Pair } from '../../src/app/ask/answer-facts';
import { forkAlternative, forkBlocker } from '../../src/app/ask/fork-facts';
import { samePrefix, sentenceOwners, sharedParts } from '../../src/app/ask/group-differences';
import { groupFacts, groupOrder } from '../../src/app/ask/group-facts';
import { rewardParts } from '../../src/app/ask/reward-facts';
import { formatSigned, signTone } from '../../src/app/shared/format';
import {
  type AnswerState,
  type EngineState,
  INITIAL_ENGINE_STATE,
  type SampleState,
} from '../../src/app/store/engine-state';
import { alternativeToken, forkedSample } from '../../src/app/store/fork-answer';
import type { AnswerReward, TokenInfo, Trace } from '../../src/worker/protocol';

const settings = { temperature: 0.5, top_k: 0, top_p: 1, max_new_tokens: 8, seed: 1 };

function token(
  text: string,
  id = [...text].reduce((sum, char) => sum * 31 + char.charCodeAt(0), 7),
): TokenInfo {
  return { id, text, prob: 0.5, logp: -1, rank: 1, entropy: 0.7, alternatives: [] };
}

function sample(words: string, extra: Partial<SampleState> = {}): SampleState {
  const tokens = words
    .split(' ')
    .filter(Boolean)
    .map((word) => token(word));
  return { status: 'done', tokens, count: tokens.length, ...extra };
}

function traceOf(answer: string | undefined, sentences: string[] = []): Trace {
  return {
    phase: 'done',
    text: '',
    sentences: sentences.map((text, i) => ({ text, start: i, end: i + 1 })),
    ...(answer === undefined ? {} : { answer }),
    problems: [],
  };
}

function group(samples: SampleState[], label?: string): AnswerState {
  return {
    id: 1,
    question: { text: '', options: ['left', 'down', 'right'], reasoning: true },
    settings,
    ...(label ? { label } : {}),
    model: 'toy',
    videoName: 'clip.mp4',
    videoUrl: 'blob:1',
    status: 'done',
    samples,
  };
}

const rewarded = (reward: number, answer?: string): SampleState =>
  sample('a', { reward: { reward }, trace: traceOf(answer) });

describe('groupFacts', () => {
  it('counts votes, the label and the spread of the rewards', () => {
    const facts = groupFacts(
      group([rewarded(1, 'B'), rewarded(2, 'B'), rewarded(-2, 'A'), rewarded(-1)], 'B'),
    );
    expect(facts.votes).toEqual([
      { letter: 'A', count: 1 },
      { letter: 'B', count: 2 },
      { letter: 'C', count: 0 },
      { letter: 'none', count: 1 },
    ]);
    expect(facts).toMatchObject({ ended: 4, right: 2, majority: { letter: 'B', text: 'down' } });
    expect(facts.rewards).toMatchObject({ mean: 0, highest: 2 });
    expect(facts.rewards!.std).toBeCloseTo(Math.sqrt(10 / 3), 12);
  });

  it('names no majority where two are equally frequent, and nothing of a label that is not known', () => {
    const facts = groupFacts(group([rewarded(1, 'A'), rewarded(1, 'B')]));
    expect(facts.majority).toBeUndefined();
    expect(facts.right).toBeUndefined();
  });

  it('leaves out answers that have not ended', () => {
    const facts = groupFacts(group([rewarded(1, 'A'), sample('a', { status: 'streaming' })], 'A'));
    expect(facts).toMatchObject({ ended: 1, right: 1 });
    expect(facts.rewards?.std).toBeUndefined();
  });

  it('orders by reward, best first, those without one last and equal ones in their order', () => {
    const answer = group([rewarded(1), sample('a'), rewarded(2), rewarded(1)]);
    expect(groupOrder(answer, true)).toEqual([2, 0, 3, 1]);
    expect(groupOrder(answer, false)).toEqual([0, 1, 2, 3]);
  });
});

describe('sharedParts', () => {
  it('divides an answer by where the others leave it', () => {
    const samples = [sample('a b c d'), sample('a b x'), sample('a b c y'), sample('q')];
    expect(sharedParts(samples, 0)).toEqual([
      { start: 0, end: 2, with: [1, 2], left: [{ sample: 3, text: 'q' }] },
      { start: 2, end: 3, with: [2], left: [{ sample: 1, text: 'x' }] },
      { start: 3, end: 4, with: [], left: [{ sample: 2, text: 'y' }] },
    ]);
  });

  it('lets an answer that ended leave, and one that is still written and has said nothing else not', () => {
    expect(sharedParts([sample('a b c'), sample('a b')], 0)).toEqual([
      { start: 0, end: 2, with: [1], left: [] },
      { start: 2, end: 3, with: [], left: [{ sample: 1, text: '' }] },
    ]);
    expect(sharedParts([sample('a b c'), sample('a b', { status: 'streaming' })], 0)).toEqual([
      { start: 0, end: 3, with: [1], left: [] },
    ]);
    expect(sharedParts([sample(''), sample('a')], 0)).toEqual([]);
  });

  it('reads no further than an answer counts', () => {
    const short = { ...sample('a b c'), count: 1 };
    expect(samePrefix(short, sample('a b c'))).toBe(1);
  });

  it('finds the answers that have the same sentence, each once', () => {
    const owners = sentenceOwners([
      { trace: traceOf('A', ['So it  moves.', 'So it moves.']) },
      { trace: traceOf('A', ['so it moves. ']) },
    ]);
    expect(owners.get('so it moves.')).toEqual([0, 1]);
  });
});

describe('rewards', () => {
  it('have parts that add up, with a true minus', () => {
    const reward: AnswerReward = { reward: -0.53, accuracy: 0, format: -0.5, length: -0.03 };
    expect(rewardParts(reward).map(({ value }) => value)).toEqual(['0.00', '−0.50', '−0.03']);
    expect(formatSigned(reward.reward)).toBe('−0.53');
    expect(formatSigned(1.558)).toBe('+1.56');
    expect([formatSigned(-0.001), signTone(-0.001)]).toEqual(['0.00', '']);
  });

  it('say in words what the lowest one lacks', () => {
    expect(rewardParts({ reward: -2 })).toEqual([
      { name: 'accuracy', value: 'not right' },
      { name: 'format', value: 'missing' },
    ]);
  });
});

describe('forks', () => {
  // Two tokens of one distribution at temperature 0.5: logits 1 and 0, so log-probabilities 1 apart at temperature 1.
  const one = Math.exp(2) / (Math.exp(2) + 1);
  const drawn: TokenInfo = {
    ...token(' up', 3),
    prob: one,
    logp: Math.log(Math.E / (Math.E + 1)),
    alternatives: [
      { id: 3, text: ' up', prob: one, kept: true },
      { id: 4, text: ' so', prob: 1 - one, kept: false },
    ],
  };
  const origin: SampleState = {
    ...sample('It moves'),
    tokens: [token('It'), drawn, token('.')],
    count: 3,
    trace: traceOf(undefined, ['It', ' up']),
  };

  it('take the alternative as if it had been drawn', () => {
    const forced = alternativeToken(drawn, 4, 0.5)!;
    expect(forced).toMatchObject({ id: 4, text: ' so', prob: 1 - one, rank: 2, entropy: drawn.entropy });
    expect(forced.logp).toBeCloseTo(Math.log(1 / (Math.E + 1)), 12);
    expect(alternativeToken(drawn, 3, 0.5)).toBeUndefined();
    expect(alternativeToken(drawn, 9, 0.5)).toBeUndefined();
  });

  it('begin with the tokens that they share, which stay as they are', () => {
    const fork = forkedSample(origin, 1, 4, settings)!;
    expect(fork.tokens.map(({ text }) => text)).toEqual(['It', ' so']);
    expect(fork).toMatchObject({ status: 'prefill', count: 2, trace: { text: 'It so' } });
    expect(fork.tokens).not.toBe(origin.tokens);
    expect(origin.tokens).toHaveLength(3);
    expect(forkedSample(origin, 3, 4, settings)).toBeUndefined();
  });

  it('go on from the chosen alternative, else from the most probable that was not drawn', () => {
    expect(forkAlternative(drawn, undefined)?.id).toBe(4);
    expect(forkAlternative(drawn, 3)?.id).toBe(4);
    expect(forkAlternative(token('x'), undefined)).toBeUndefined();
  });

  it('need the model and the video that the answer is about', () => {
    const pair: Pair = { answer: group([origin]), sample: origin };
    const engine: EngineState = {
      ...INITIAL_ENGINE_STATE,
      model: { ...INITIAL_ENGINE_STATE.model, status: 'ready', name: 'toy' },
      video: {
        id: 1,
        status: 'ready',
        name: 'clip.mp4',
        file: new Blob(),
        url: 'blob:1',
        frames: [],
      } as never,
    };
    expect(forkBlocker(engine, pair)).toBeUndefined();
    expect(forkBlocker({ ...engine, model: { ...engine.model, name: 'other' } }, pair)).toMatch(/toy wrote/);
    expect(forkBlocker({ ...engine, video: { ...engine.video!, url: 'blob:2' } }, pair)).toMatch(/clip\.mp4/);
    expect(forkBlocker({ ...engine, answers: [{ ...pair.answer, status: 'streaming' }] }, pair)).toMatch(
      /being written/,
    );
  });
});
