import { describe, expect, it } from 'vitest';
import {
  HELD_OUT_SEED_START,
  makeToyQuestions,
  makeToyTrace,
  TOY_CHECK,
  TOY_FAMILIES,
  type ToyObject,
  type ToyQuestion,
  ToyRng,
  type ToyStyle,
} from '../../src/data/toy/index';
import { makeToyScene } from '../../src/data/toy/scene';
import { makeTrainingRows } from '../../src/data/toy/training-rows';

const questions = Array.from({ length: 400 }, (_, i) =>
  makeToyQuestions(makeToyScene(HELD_OUT_SEED_START + i), 6),
).flat();

/** Truth of an option, judged from coordinates and frame numbers alone. */
function isTrue(q: ToyQuestion, option: string): boolean {
  const { objects, scenario } = q.scene;
  const named = (name: string): ToyObject | undefined =>
    objects.find((o) => `${o.colour} ${o.shape}` === name || o.shape === name);
  const subject = named(/(?:the|does the) (.+?) (?:move|at the|become)/.exec(q.question)?.[1] ?? '');
  const travel = (o: ToyObject) => Math.hypot(o.x1 - o.x0, o.y1 - o.y0);
  const end = q.question.includes('at the end');
  switch (q.family) {
    case 'direction': {
      const [dx, dy] = [subject!.x1 - subject!.x0, subject!.y1 - subject!.y0];
      const flat = Math.abs(dx) > Math.abs(dy);
      const seen =
        travel(subject!) < 10 ? 'nowhere' : flat ? (dx > 0 ? 'right' : 'left') : dy > 0 ? 'down' : 'up';
      return option === seen;
    }
    case 'position': {
      const [x, y] = end ? [subject!.x1, subject!.y1] : [subject!.x0, subject!.y0];
      const third = (v: number) => Math.min(2, Math.floor((v / 64) * 3));
      const [row, column] = [['north', '', 'south'][third(y)], ['west', '', 'east'][third(x)]];
      return option === (`${row}${column}` || 'center');
    }
    case 'mover':
      return named(option) !== undefined && travel(named(option)!) > 10;
    case 'speed':
      return named(option) !== undefined && travel(named(option)!) > 30;
    case 'colour':
      return option === subject!.colourAfter && option !== subject!.colour;
    case 'change':
      return named(option) !== undefined && named(option)!.colour !== named(option)!.colourAfter;
    case 'count': {
      const frame = end ? 7 : 0;
      return (
        ['zero', 'one', 'two', 'three', 'four'].indexOf(option) ===
        objects.filter((o) => o.enterFrame <= frame && frame < o.leaveFrame).length
      );
    }
    case 'order': {
      const object = named(option);
      if (!object) return false;
      const frames = objects.map((o) => (scenario === 'enter' ? o.enterFrame || 99 : o.leaveFrame));
      return (scenario === 'enter' ? object.enterFrame : object.leaveFrame) === Math.min(...frames);
    }
  }
}

describe('toy questions', () => {
  it('have one true option, the one that the answer names, in every family', () => {
    const wrong = questions.filter((q) => {
      const truths = q.options.map((option) => isTrue(q, option));
      const one = truths.filter(Boolean).length === 1;
      return !one || String.fromCharCode(65 + truths.indexOf(true)) !== q.answer;
    });
    expect(wrong.map((q) => `seed ${q.scene.seed}: ${q.problem} -> ${q.answer}`)).toEqual([]);
    expect(new Set(questions.map((q) => q.family))).toEqual(new Set(TOY_FAMILIES));
  });

  it('have three to five different options and the original form of text', () => {
    const wrong = questions.filter((q) => {
      const count = q.options.length;
      const lines = q.options.map((text, i) => `${'ABCDE'[i]}. ${text}`);
      return !(
        count >= 3 &&
        count <= 5 &&
        new Set(q.options).size === count &&
        q.problem === `${q.question}\nOptions:\n${lines.join('\n')}` &&
        q.solution === `<answer>${q.answer}</answer>`
      );
    });
    expect(wrong.map((q) => q.problem)).toEqual([]);
  });

  it('spread the answers evenly over the letters', () => {
    for (const count of [3, 4, 5]) {
      const some = questions.filter((q) => q.options.length === count);
      for (const letter of 'ABCDE'.slice(0, count)) {
        const share = some.filter((q) => q.answer === letter).length / some.length;
        const deviation = Math.sqrt(((1 / count) * (1 - 1 / count)) / some.length);
        expect(Math.abs(share - 1 / count), `${letter} of ${count}`).toBeLessThan(4 * deviation);
      }
    }
  });

  it('do not repeat within a clip, and are the same every time', () => {
    const scene = makeToyScene(12345);
    const made = makeToyQuestions(scene, 6);
    expect(new Set(made.map((q) => q.question)).size).toBe(made.length);
    expect(makeToyQuestions(scene, 6)).toEqual(made);
  });
});

describe('toy traces', () => {
  const letter = (text: string) => /<answer> (.) <\/answer>$/.exec(text)?.[1];
  const textOf = (segments: { text: string }[]) => segments.map((s) => s.text).join('');
  const write = (style: ToyStyle) => {
    const rng = new ToyRng(9);
    return questions.map((q) => ({ q, trace: makeToyTrace(q, style, rng) }));
  };

  it('satisfy the format reward in every style', () => {
    for (const style of ['careful', 'careless', 'guess', 'corrupted', 'confirm'] as const) {
      const texts = write(style).map(({ trace }) => ({ trace, text: textOf(trace.segments).trim() }));
      const wrong = texts.filter(
        ({ text, trace }) =>
          !/^<think>.*?<\/think>\s*<answer>.*?<\/answer>$/s.test(text) ||
          text.match(/<\/?(think|answer)>/g)?.length !== 4 ||
          letter(text) !== trace.answer ||
          !text.includes(trace.think),
      );
      expect(wrong.map(({ text }) => text)).toEqual([]);
    }
  });

  it('answer rightly, careless ones about one time in three', () => {
    for (const style of ['careful', 'guess', 'corrupted', 'confirm'] as const) {
      expect(write(style).filter(({ q, trace }) => trace.answer !== q.answer)).toEqual([]);
    }
    const careless = write('careless');
    const share = careless.filter(({ q, trace }) => trace.answer === q.answer).length / careless.length;
    expect(Math.abs(share - 0.35)).toBeLessThan(0.04);
  });

  it('conclude with the text of the right option', () => {
    const wrong = write('careful').filter(({ q, trace }) => {
      const right = q.options[q.answer.charCodeAt(0) - 65]!;
      const conclusion = ` So the answer is ${right}, ${q.answer}.`;
      return !trace.think.endsWith(conclusion) || trace.think.includes(TOY_CHECK);
    });
    expect(wrong.map(({ trace }) => trace.think)).toEqual([]);
  });

  it('never teach a corrupted observation, and set it right after the check', () => {
    const wrong = write('corrupted').filter(({ q, trace }) => {
      const silent = trace.segments.filter((s) => !s.loss);
      const learned = textOf(trace.segments.filter((s) => s.loss));
      const careful = makeToyTrace(q, 'careful', new ToyRng(1)).think;
      const hidden = silent.length === 1 && silent[0]!.text.trim() !== careful;
      return !hidden || !learned.includes(`${TOY_CHECK} ${careful}`);
    });
    expect(wrong.map(({ trace }) => trace.think)).toEqual([]);
  });
});

describe('training rows', () => {
  it('follow the plan and repeat with the seed', () => {
    const scene = makeToyScene(4242);
    const plan = { questions: 4, captions: 2, copies: 1, lookups: 1, styles: { guess: 1 } };
    const rows = makeTrainingRows(scene, plan);
    expect(rows.filter((r) => r.kind === 'caption')).toHaveLength(2);
    expect(rows.filter((r) => r.kind === 'question').every((r) => r.style === 'guess')).toBe(true);
    expect(rows.every((r) => r.tail.startsWith('\n') && r.tail.endsWith('ASSISTANT:'))).toBe(true);
    expect(makeTrainingRows(scene, plan)).toEqual(rows);
  });
});
