import { describe, expect, it } from 'vitest';
import { chosenOption, isCorrect, letterProbabilities, type Pair } from '../../src/app/ask/answer-facts';
import { layoutTrace, rangeText } from '../../src/app/ask/trace-layout';
import type { SampleState } from '../../src/app/store/engine-state';
import type { TokenInfo, Trace } from '../../src/worker/protocol';

function tokensOf(...texts: string[]): TokenInfo[] {
  return texts.map((text, id) => ({ id, text, prob: 0.5, logp: -1, rank: 1, entropy: 0, alternatives: [] }));
}

function traceOf(sentences: [number, number][], answer?: string): Trace {
  return {
    phase: 'done',
    text: '',
    sentences: sentences.map(([start, end]) => ({ text: '', start, end })),
    ...(answer === undefined ? {} : { answer }),
    problems: [],
  };
}

function show(tokens: TokenInfo[], trace: Trace) {
  const { lines, answer } = layoutTrace({ tokens, count: tokens.length, trace });
  return {
    lines: lines.map((line) => [line.kind, rangeText(tokens, line)]),
    answer: answer && [answer.open, answer.body, answer.close].map((range) => rangeText(tokens, range)),
  };
}

describe('layoutTrace', () => {
  it('divides a well-formed answer', () => {
    const tokens = tokensOf('<think>', 'It', ' moves', '.', '</think>', '\n', '<answer>', 'B', '</answer>');
    expect(show(tokens, traceOf([[1, 4]], 'B'))).toEqual({
      lines: [
        ['tag', '<think>'],
        ['sentence', 'It moves.'],
        ['tag', '</think>\n'],
      ],
      answer: ['<answer>', 'B', '</answer>'],
    });
  });

  it('finds tags that several tokens make up', () => {
    const tokens = tokensOf(
      '<',
      'think',
      '>',
      'Up',
      '.',
      '</',
      'think',
      '>',
      ' <',
      'answer',
      '>',
      'A',
      '</',
      'answer',
      '>',
    );
    expect(show(tokens, traceOf([[3, 5]], 'A'))).toEqual({
      lines: [
        ['tag', '<think>'],
        ['sentence', 'Up.'],
        ['tag', '</think>'],
      ],
      answer: [' <answer>', 'A', '</answer>'],
    });
  });

  it('shows malformed text as it is', () => {
    const tokens = tokensOf('No', ' tags', ' here', '</think>', ' stray', '<answer>', 'C', ' or', ' D');
    expect(show(tokens, traceOf([], 'C or D'))).toEqual({
      lines: [
        ['text', 'No tags here'],
        ['tag', '</think>'],
        ['text', ' stray'],
      ],
      answer: ['<answer>', 'C or D', ''],
    });
  });

  it('keeps a half-written tag out of the text', () => {
    const tokens = tokensOf('<think>', 'Up', '.', '</', 'thi');
    expect(show(tokens, traceOf([[1, 3]])).lines.at(-1)).toEqual(['tag', '</thi']);
  });

  it('puts every visible token in exactly one place, whatever the sentences say', () => {
    const tokens = tokensOf(
      'a',
      '<think>',
      '',
      'b',
      ' ',
      '</think>',
      'c',
      '<answer>',
      'd',
      '</answer>',
      'e',
      '<|im_end|>',
    );
    for (const sentences of [
      [],
      [[3, 4]],
      [
        [0, 5],
        [3, 6],
      ],
      [[2, 40]],
    ] as [number, number][][]) {
      const { lines, answer } = layoutTrace({ tokens, count: tokens.length, trace: traceOf(sentences) });
      const ranges = [...lines, ...(answer ? [answer.open, answer.body, answer.close] : [])];
      const places = tokens.map((_, i) => ranges.filter(({ start, end }) => i >= start && i < end).length);
      tokens.forEach((token, i) => {
        if (token.text.trim() !== '') expect([sentences, i, places[i]]).toEqual([sentences, i, 1]);
        else expect(places[i]).toBeLessThanOrEqual(1);
      });
    }
  });
});

describe('answer facts', () => {
  const answer = (text: string, label?: string): Pair => {
    const sample: SampleState = { status: 'done', tokens: [], count: 0, trace: traceOf([], text) };
    return {
      sample,
      answer: {
        id: 1,
        question: { text: '', options: ['left', 'down', 'right'], reasoning: true },
        settings: { temperature: 1, top_k: 0, top_p: 1, max_new_tokens: 1, seed: 0 },
        ...(label ? { label } : {}),
        model: '',
        videoName: '',
        videoUrl: '',
        status: 'done',
        samples: [sample],
      },
    };
  };

  it('reads the letter, with or without the option behind it', () => {
    expect(chosenOption(answer(' B '))).toEqual({ letter: 'B', text: 'down' });
    expect(chosenOption(answer('b. down'))).toEqual({ letter: 'B', text: 'down' });
    expect(chosenOption(answer('E'))).toBeUndefined();
    expect(chosenOption(answer('Because'))).toBeUndefined();
  });

  it('compares with the label only where there is one', () => {
    expect(isCorrect(answer('B', 'B'))).toBe(true);
    expect(isCorrect(answer('A', 'B'))).toBe(false);
    expect(isCorrect(answer('none of them', 'B'))).toBe(false);
    expect(isCorrect(answer('B'))).toBeUndefined();
  });

  it('takes letter probabilities from the drawn spelling alone', () => {
    const [tag, letter] = tokensOf('<answer>', ' B') as [TokenInfo, TokenInfo];
    letter.alternatives = [
      { id: 1, text: ' B', prob: 0.5, kept: true },
      { id: 2, text: ' A', prob: 0.3, kept: true },
      { id: 3, text: 'C', prob: 0.2, kept: true },
    ];
    expect(letterProbabilities([tag, letter], { start: 1, end: 2 }, 'B', 3)).toEqual([
      { prob: 0.3 },
      { prob: 0.5 },
      { below: 0.2 },
    ]);
    expect(letterProbabilities([tag, letter], { start: 0, end: 1 }, 'B', 3)).toBeUndefined();
  });
});
