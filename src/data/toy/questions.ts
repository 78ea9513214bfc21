import { ToyRng } from './rng';
import { cellAt, cellsMoved, directionOf, isVisible, type ToyObject, type ToyScene } from './scene';
import {
  TOY_CELLS,
  TOY_COLOURS,
  TOY_DIRECTIONS,
  TOY_FRAMES,
  TOY_NO_DIRECTION,
  TOY_NUMBERS,
  TOY_SHAPES,
} from './vocabulary';

export const TOY_FAMILIES = [
  'direction',
  'position',
  'mover',
  'speed',
  'colour',
  'change',
  'count',
  'order',
] as const;
export type ToyFamily = (typeof TOY_FAMILIES)[number];

/** What a question asks: the family, the object it is about (an index, -1 for none) and a frame (from 0). */
export interface ToyTopic {
  family: ToyFamily;
  object: number;
  frame: number;
}

/** A multiple-choice question in the original data set's form. */
export interface ToyQuestion {
  family: ToyFamily;
  question: string;
  options: string[];
  /** Letter of the right option. */
  answer: string;
  /** `question`, then `Options:`, then one lettered option a line. */
  problem: string;
  /** `<answer>C</answer>`. */
  solution: string;
  topic: ToyTopic;
  scene: ToyScene;
}

const LAST = TOY_FRAMES - 1;

/** How texts name an object: by shape alone where its colour changes. */
export function objectName(object: ToyObject): string {
  return object.changeFrame < TOY_FRAMES ? object.shape : `${object.colour} ${object.shape}`;
}

/** The answer in the words of the options, read from the scene. */
export function answerText(scene: ToyScene, topic: ToyTopic): string {
  const objects = scene.objects;
  const subject = objects[topic.object] as ToyObject;
  const named = (found: ToyObject | undefined) => {
    if (!found)
      throw new Error(`The scene of seed ${scene.seed} has no object for a "${topic.family}" question.`);
    return objectName(found);
  };
  switch (topic.family) {
    case 'direction':
      return directionOf(subject) ?? TOY_NO_DIRECTION;
    case 'position':
      return TOY_CELLS[cellAt(subject, topic.frame)] as string;
    case 'mover':
      return named(objects.find((o) => cellsMoved(o) > 0));
    case 'speed':
      return named(objects.find((o) => cellsMoved(o) === 2));
    case 'colour':
      return subject.colourAfter;
    case 'change':
      return named(objects.find((o) => o.changeFrame < TOY_FRAMES));
    case 'count':
      return TOY_NUMBERS[objects.filter((o) => isVisible(o, topic.frame)).length] as string;
    case 'order': {
      const when = (o: ToyObject) => (scene.scenario === 'enter' ? o.enterFrame || TOY_FRAMES : o.leaveFrame);
      return named([...objects].sort((a, b) => when(a) - when(b))[0]);
    }
  }
}

/** How often a still object is asked about its direction ("nowhere" must not be the usual answer). */
const STILL_SHARE = 0.2;

/** The questions that a scene allows. */
function topicsOf(scene: ToyScene, rng: ToyRng): ToyTopic[] {
  const topics: ToyTopic[] = [];
  const several = scene.objects.length > 1;
  scene.objects.forEach((object, i) => {
    if (object.changeFrame < TOY_FRAMES) {
      topics.push({ family: 'colour', object: i, frame: LAST });
      return;
    }
    const always = object.enterFrame === 0 && object.leaveFrame === TOY_FRAMES;
    if (always && (cellsMoved(object) > 0 || rng.chance(STILL_SHARE))) {
      topics.push({ family: 'direction', object: i, frame: LAST });
    }
    for (const frame of [0, LAST]) {
      if (isVisible(object, frame)) topics.push({ family: 'position', object: i, frame });
    }
  });
  if (scene.scenario === 'move' && several) topics.push({ family: 'mover', object: -1, frame: LAST });
  if (scene.scenario === 'race') topics.push({ family: 'speed', object: -1, frame: LAST });
  if (scene.scenario === 'change' && several) topics.push({ family: 'change', object: -1, frame: LAST });
  if (scene.scenario === 'enter' || scene.scenario === 'leave') {
    topics.push({ family: 'order', object: -1, frame: LAST });
  }
  for (const frame of [0, LAST]) topics.push({ family: 'count', object: -1, frame });
  return topics;
}

function questionText(scene: ToyScene, topic: ToyTopic): string {
  const name = topic.object >= 0 ? objectName(scene.objects[topic.object] as ToyObject) : '';
  const when = topic.frame === 0 ? 'at the start' : 'at the end';
  switch (topic.family) {
    case 'direction':
      return `In which direction does the ${name} move?`;
    case 'position':
      return `Where is the ${name} ${when}?`;
    case 'mover':
      return 'Which object moves?';
    case 'speed':
      return 'Which object moves faster?';
    case 'colour':
      return `What colour does the ${name} become?`;
    case 'change':
      return 'Which object changes its colour?';
    case 'count':
      return `How many objects are there ${when}?`;
    case 'order':
      return `Which object ${scene.scenario === 'enter' ? 'enters' : 'leaves'} first?`;
  }
}

/** Wrong options, the most tempting first; as many as the caller likes are taken from the front. */
function distractors(scene: ToyScene, topic: ToyTopic, answer: string, rng: ToyRng): string[] {
  const subject = scene.objects[topic.object];
  switch (topic.family) {
    case 'direction':
      return rng.shuffle([...TOY_DIRECTIONS, TOY_NO_DIRECTION]);
    case 'position': {
      const other = TOY_CELLS[cellAt(subject as ToyObject, LAST - topic.frame)] as string;
      return [other, ...rng.shuffle(TOY_CELLS)];
    }
    case 'colour':
      return [(subject as ToyObject).colour, ...rng.shuffle(TOY_COLOURS)];
    case 'change':
      return [...scene.objects.map((o) => o.shape as string), ...rng.shuffle(TOY_SHAPES)];
    case 'count': {
      const likely = TOY_NUMBERS.filter((word) => word !== 'zero' || answer === 'zero' || rng.chance(0.5));
      return rng.shuffle(likely);
    }
    default: {
      // Objects of the clip, then absent ones of colours that the clip does not have.
      const spare = TOY_COLOURS.filter((c) => scene.objects.every((o) => o.colour !== c));
      const absent = rng.shuffle(spare).map((c) => `${c} ${rng.pick(TOY_SHAPES)}`);
      return [...scene.objects.map(objectName), ...absent];
    }
  }
}

function makeQuestion(scene: ToyScene, topic: ToyTopic, rng: ToyRng): ToyQuestion {
  const right = answerText(scene, topic);
  const wrong = [...new Set(distractors(scene, topic, right, rng))].filter((text) => text !== right);
  const count = Math.min(wrong.length, 2 + rng.int(3));
  const options = rng.shuffle(wrong.slice(0, count));
  const at = rng.int(count + 1);
  options.splice(at, 0, right);
  const question = questionText(scene, topic);
  const answer = letterOf(at);
  const lines = options.map((text, i) => `${letterOf(i)}. ${text}`);
  return {
    family: topic.family,
    question,
    options,
    answer,
    problem: `${question}\nOptions:\n${lines.join('\n')}`,
    solution: `<answer>${answer}</answer>`,
    topic,
    scene,
  };
}

/** The letter of option i. */
export function letterOf(i: number): string {
  return String.fromCharCode(65 + i);
}

/**
 * Up to `n` different questions about a scene, families in turn so that as many as possible appear. The same scene and
 * n give the same questions.
 */
export function makeSceneQuestions(scene: ToyScene, n: number): ToyQuestion[] {
  const rng = new ToyRng(scene.seed + 0x71_0000_0000);
  const queues = new Map<ToyFamily, ToyTopic[]>();
  for (const topic of rng.shuffle(topicsOf(scene, rng))) {
    queues.set(topic.family, [...(queues.get(topic.family) ?? []), topic]);
  }
  const chosen: ToyTopic[] = [];
  while (chosen.length < n && queues.size > 0) {
    for (const family of rng.shuffle([...queues.keys()])) {
      const queue = queues.get(family) as ToyTopic[];
      const topic = queue.pop();
      if (topic && chosen.length < n) chosen.push(topic);
      if (queue.length === 0) queues.delete(family);
    }
  }
  return chosen.map((topic) => makeQuestion(scene, topic, rng));
}
