import { captionFrame } from './captions';
import { corruptScene } from './corruption';
import { answerText, letterOf, objectName, type ToyQuestion, type ToyTopic } from './questions';
import type { ToyRng } from './rng';
import { cellAt, cellsMoved, type ToyObject, type ToyScene } from './scene';
import { TOY_CELLS, TOY_FRAMES } from './vocabulary';

/**
 * - `careful`: looks, then concludes.
 * - `careless`: a guess, often wrong, without looking.
 * - `guess`: a guess, then a check by looking.
 * - `corrupted`: a careful-looking pass from a false observation (carries no loss), then a check that sets it right.
 * - `confirm`: a careful pass, then a check that finds the same.
 */
export type ToyStyle = 'careful' | 'careless' | 'guess' | 'corrupted' | 'confirm';

export interface ToyTrace {
  style: ToyStyle;
  /** Text inside of the think tags. */
  think: string;
  /** The letter that is answered (wrong only in careless traces). */
  answer: string;
  /** ` <think> … </think> <answer> C </answer>` in pieces; pieces without `loss` are read but not learned. */
  segments: { text: string; loss: boolean }[];
}

/** The sentence that begins every self-check. */
export const TOY_CHECK = 'Wait, let me look again.';

const LAST = TOY_FRAMES - 1;
const CARELESS_RIGHT = 0.35;
const GUESS_RIGHT = 0.45;

/** Looks at what the topic needs, as it is seen in `scene`. */
function observations(scene: ToyScene, topic: ToyTopic): string {
  const subject = scene.objects[topic.object] as ToyObject;
  const both = (withCells: boolean) =>
    `${captionFrame(scene, 0, withCells)} ${captionFrame(scene, LAST, withCells)}`;
  const cell = (o: ToyObject, frame: number) => TOY_CELLS[cellAt(o, frame)];
  switch (topic.family) {
    case 'direction': {
      const name = objectName(subject);
      return `In frame 1 the ${name} is at ${cell(subject, 0)}, in frame 8 at ${cell(subject, LAST)}.`;
    }
    case 'position': {
      const where = cell(subject, topic.frame);
      return `In frame ${topic.frame + 1} the ${objectName(subject)} is at ${where}.`;
    }
    case 'mover':
      return both(true);
    case 'speed': {
      const moving = scene.objects.filter((o) => cellsMoved(o) > 0);
      const steps = moving.map((o) => `the ${objectName(o)} moves ${cellsMoved(o)}`).join(', ');
      return `${both(true)} ${steps.replace('t', 'T')}.`;
    }
    case 'colour':
    case 'change':
      return both(false);
    case 'count':
      return captionFrame(scene, topic.frame, false);
    case 'order':
      return scanText(scene);
  }
}

/** An option with its letter, the way conclusions and guesses name it: `red circle, B`. */
function lettered(question: ToyQuestion, option: string): string {
  const at = question.options.indexOf(option);
  return at < 0 ? option : `${option}, ${letterOf(at)}`;
}

/** Looks, then concludes, with the scene as seen (the question's own, or a misread one). */
export function carefulText(question: ToyQuestion, scene: ToyScene): string {
  const answer = answerText(scene, question.topic);
  return `${observations(scene, question.topic)} So the answer is ${lettered(question, answer)}.`;
}

/** Frames 1, 3, 5, ... up to the first that shows the first event. */
function scanText(scene: ToyScene): string {
  const first = Math.min(...scene.events.map((e) => e.frame));
  const captions: string[] = [];
  for (let frame = 0; frame <= first; frame += 2) captions.push(captionFrame(scene, frame, false));
  return captions.join(' ');
}

function guessText(question: ToyQuestion, option: string): string {
  return `I think it is ${lettered(question, option)}.`;
}

/** A guess that is right with probability `right`. */
function guess(question: ToyQuestion, right: number, rng: ToyRng): number {
  const answer = question.answer.charCodeAt(0) - 65;
  if (rng.chance(right)) return answer;
  return rng.pick(question.options.map((_, i) => i).filter((i) => i !== answer));
}

/** Writes a reasoning trace for a question in a style. Draws from `rng` where the style has chances. */
export function makeToyTrace(question: ToyQuestion, style: ToyStyle, rng: ToyRng): ToyTrace {
  const careful = carefulText(question, question.scene);
  let answer = question.answer;
  let before = '';
  let body = careful;
  if (style === 'careless') {
    const at = guess(question, CARELESS_RIGHT, rng);
    answer = letterOf(at);
    body = guessText(question, question.options[at] as string);
  } else if (style === 'guess') {
    const first = guessText(question, question.options[guess(question, GUESS_RIGHT, rng)] as string);
    body = `${first} ${TOY_CHECK} ${careful}`;
  } else if (style === 'confirm') {
    body = `${careful} ${TOY_CHECK} ${careful}`;
  } else if (style === 'corrupted') {
    before = carefulText(question, corruptScene(question, rng));
    body = `${TOY_CHECK} ${careful}`;
  }
  const segments = [{ text: ' <think>', loss: true }];
  if (before) segments.push({ text: ` ${before}`, loss: false });
  segments.push({ text: ` ${body} </think> <answer> ${answer} </answer>`, loss: true });
  return { style, think: before ? `${before} ${body}` : body, answer, segments };
}
