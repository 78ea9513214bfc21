import { describe, expect, it } from 'vitest';
import { AHA_RULES, matchAhaRule } from '../../src/generate/aha-rules';
import { concludedOption } from '../../src/generate/conclusions';
import { splitSentences } from '../../src/generate/sentences';
import { answerLetter, parseTrace, ThinkParser } from '../../src/generate/think-parser';

const GOOD =
  ' <think> I think it is left. Wait, let me look again. So it moves down. </think> <answer> B </answer>';
const OPTIONS = ['left', 'down', 'right', 'it stays'];

const split = (text: string) =>
  splitSentences(text, { from: 0, to: text.length }, true).map(({ from, to }) => text.slice(from, to));

describe('parseTrace', () => {
  it('takes a well-formed trace apart', () => {
    const trace = parseTrace(GOOD, { options: OPTIONS });
    expect(trace).toMatchObject({
      phase: 'done',
      answer: 'B',
      before: '',
      between: '',
      after: '',
      problems: [],
    });
    expect(trace.think).toBe('I think it is left. Wait, let me look again. So it moves down.');
    expect(trace.sentences.map(({ text, aha }) => [text, aha?.kind, aha?.label])).toEqual([
      ['I think it is left.', undefined, undefined],
      ['Wait, let me look again.', 'checks', 'checks itself'],
      ['So it moves down.', 'corrects', 'left → down'],
    ]);
  });

  it.each([
    ['', '', undefined, ['The text is empty.']],
    ['It is B.', '', undefined, ['The text has neither <think> nor <answer>.']],
    ['<answer>B</answer>', '', 'B', ['There is no <think> before the answer.']],
    [
      '<think> a. ',
      'a.',
      undefined,
      ['The thinking part is not closed: the text ends inside it.', 'There is no <answer> in the text.'],
    ],
    [
      '<think> a. <answer> B </answer>',
      'a.',
      'B',
      ['The thinking part is not closed: </think> is missing before <answer>.'],
    ],
    [
      'Sure. <think> a. </think> so <answer> B </answer> bye',
      'a.',
      'B',
      [
        'There is text before <think>.',
        'There is text between </think> and <answer>.',
        'There is text after </answer>.',
      ],
    ],
    ['<think>a</think><answer> </answer>', 'a', '', ['The answer is empty.']],
    ['<think>a</think><answer>B', 'a', 'B', ['The answer is not closed: </answer> is missing.']],
    [
      '<think>a <answer>C</answer> b</think><answer>B</answer>',
      'a <answer>C</answer> b',
      'B',
      ['There are tags inside the thinking part.'],
    ],
    ['<think>a</think>', 'a', undefined, ['There is no <answer> in the text.']],
  ])('keeps %j as it is and says what is wrong', (text, think, answer, problems) => {
    const trace = parseTrace(text);
    expect(trace.text).toBe(text);
    expect(trace.think).toBe(think);
    expect(trace.answer).toBe(answer);
    expect(trace.problems).toEqual(problems);
  });

  it('loses nothing of a malformed trace', () => {
    const trace = parseTrace('x <think> a </think> y <answer> B </answer> z');
    expect([trace.before, trace.between, trace.after]).toEqual(['x', 'y', 'z']);
  });
});

describe('ThinkParser', () => {
  it('goes through the phases, holds unfinished tags back, and marks sentences once complete', () => {
    const parser = new ThinkParser(OPTIONS);
    const seen: string[] = [];
    for (const char of GOOD) {
      const trace = parser.push(char);
      if (seen.at(-1) !== trace.phase) seen.push(trace.phase);
      expect(trace.problems).toEqual([]);
      expect(trace.think).not.toMatch(/<|>/);
      expect(trace.answer ?? '').not.toMatch(/<|>/);
      for (const sentence of trace.sentences) if (sentence.aha) expect(sentence.complete).toBe(true);
    }
    expect(seen).toEqual(['before', 'think', 'between', 'answer', 'done']);
    expect({ ...parser.end(), sentences: [] }).toEqual({
      ...parseTrace(GOOD, { options: OPTIONS }),
      sentences: [],
    });
  });

  it('gives the tokens of every sentence', () => {
    const parser = new ThinkParser();
    const tokens = ['<th', 'ink>', ' One', ' two', '. Th', 'ree', '.', '', ' </think>'];
    for (const token of tokens) parser.push(token);
    const spans = parser.end().sentences.map(({ text, start, end }) => [text, start, end]);
    expect(spans).toEqual([
      ['One two.', 2, 5],
      ['Three.', 4, 7],
    ]);
  });

  it('shows a lone < that begins no tag', () => {
    const parser = new ThinkParser();
    parser.push('<think> 3 <');
    expect(parser.trace().think).toBe('3');
    expect(parser.push(' 5').think).toBe('3 < 5');
    expect(parser.end().think).toBe('3 < 5');
  });
});

describe('splitSentences', () => {
  it.each([
    ['One. Two! Three?', ['One.', 'Two!', 'Three?']],
    ['It is 3.5 m. Then "stop." Good', ['It is 3.5 m.', 'Then "stop."', 'Good']],
    ['Wait... what? Hm', ['Wait...', 'what?', 'Hm']],
    ['The answer is B. moves up. So B.', ['The answer is B. moves up.', 'So B.']],
    ['1. Look.\n2. Answer', ['1. Look.', '2. Answer']],
    ['Things, e.g. balls, move. Yes.', ['Things, e.g. balls, move.', 'Yes.']],
    ['  \n ', []],
  ])('cuts %j', (text, expected) => {
    expect(split(text)).toEqual(expected);
  });
});

describe('aha rules', () => {
  it("marks the paper's three examples", () => {
    expect(matchAhaRule("Let's review the evidence again.")?.name).toBe('look-again');
    expect(
      matchAhaRule('Therefore, I need to take a step back and analyze the problem and the hint given.')?.name,
    ).toBe('step-back');
    expect(matchAhaRule("Let's confirm this by looking at the video again.")).toBeDefined();
  });

  it.each([
    ['Wait, let me look again.', 'wait'],
    ['But wait!', 'wait'],
    ['Hold on, the cup is red.', 'wait'],
    ['Let me look at the first frame again.', 'look-again'],
    ['I should watch the clip once more.', 'look-again'],
    ['Let me verify the order of events.', 'verify'],
    ['I need to double-check that.', 'verify'],
    ['Let’s re-examine the options.', 'verify'],
    ['On second thought, it is B.', 'second-thought'],
    ['I was wrong about the colour.', 'mistake'],
    ['That doesn’t add up.', 'mistake'],
    ['Actually, the ball stays.', 'actually'],
    ['Hmm, this is odd.', 'hmm'],
  ])('marks %j by %s', (sentence, name) => {
    expect(matchAhaRule(sentence)?.name).toBe(name);
  });

  it.each([
    'The people wait for the bus.',
    'They are waiting in line, wait and see.',
    'Let me look at the video.',
    'The man is actually a cook.',
    'He checks his watch again.',
    'She takes a step back from the door.',
    'The player goes back to the bench.',
    'So it moves down.',
  ])('leaves %j alone', (sentence) => {
    expect(matchAhaRule(sentence)).toBeUndefined();
  });

  it('explains every rule in a line', () => {
    for (const { name, explanation } of AHA_RULES)
      expect([name, explanation.endsWith('.')]).toEqual([name, true]);
    expect(new Set(AHA_RULES.map(({ name }) => name)).size).toBe(AHA_RULES.length);
  });
});

describe('concludedOption', () => {
  const moves = ['rolls to the left', 'moves to the right', 'stays still'];
  it.each([
    ['So it rolls to the left.', moves, 0],
    ['I think it is right.', moves, 1],
    ['Therefore, the answer is C.', moves, 2],
    ['The ball is on the left.', moves, undefined],
    ['So it is not moving left.', moves, undefined],
    ['So it goes from left to right.', moves, undefined],
    ['I think it is left or right.', moves, undefined],
    ['So the red circle is faster.', ['red circle', 'red square', 'blue circle'], 0],
    ['So there are 3.', ['2', '3', '4'], 1],
    ['So it is left.', [], undefined],
  ])('%j', (sentence, options, expected) => {
    expect(concludedOption(sentence, options)).toBe(expected);
  });

  it('does not call a conclusion that stays the same a correction', () => {
    const trace = parseTrace('<think> I think it is left. So it moves left. </think><answer>A</answer>', {
      options: OPTIONS,
    });
    expect(trace.sentences.some(({ aha }) => aha)).toBe(false);
  });
});

describe('answerLetter', () => {
  it.each([
    ['B', 5, 'B'],
    [' b. moves', 5, 'B'],
    ['The answer is (C)', 5, 'C'],
    ['F', 5, undefined],
    ['none', 5, undefined],
    ['', 5, undefined],
  ])('%j of %i options', (answer, choices, letter) => {
    expect(answerLetter(answer, choices)).toBe(letter);
  });
});
