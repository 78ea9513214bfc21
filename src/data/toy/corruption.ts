import { answerText, type ToyQuestion } from './questions';
import type { ToyRng } from './rng';
import type { ToyObject, ToyScene } from './scene';
import { TOY_CELLS, TOY_COLOURS, TOY_FRAMES, type ToyColour } from './vocabulary';

const ANCHORS = [12, 32, 52];

/** Puts one end of an object's path into another cell. */
function place(object: ToyObject, frame: number, cell: number): void {
  const x = ANCHORS[cell % 3] as number;
  const y = ANCHORS[Math.floor(cell / 3)] as number;
  if (frame === 0) Object.assign(object, { fromCell: cell, x0: x, y0: y });
  else Object.assign(object, { toCell: cell, x1: x, y1: y });
}

/** A random cell one or two steps along a row or column from `cell`. */
function stepFrom(cell: number, rng: ToyRng): number {
  const same = TOY_CELLS.map((_, i) => i).filter(
    (i) => i !== cell && (i % 3 === cell % 3 || Math.floor(i / 3) === Math.floor(cell / 3)),
  );
  return rng.pick(same);
}

/** One try at a false view of the scene; it may happen to leave the answer as it is. */
function misread(question: ToyQuestion, rng: ToyRng): ToyScene {
  const scene: ToyScene = structuredClone(question.scene);
  const { objects } = scene;
  const subject = objects[question.topic.object] as ToyObject;
  const any = rng.pick(objects);
  switch (question.family) {
    case 'direction':
      place(subject, TOY_FRAMES - 1, stepFrom(subject.fromCell, rng));
      break;
    case 'position':
      place(subject, question.topic.frame, rng.int(TOY_CELLS.length));
      break;
    case 'mover': {
      for (const object of objects) if (object !== any) place(object, TOY_FRAMES - 1, object.fromCell);
      place(any, TOY_FRAMES - 1, stepFrom(any.fromCell, rng));
      break;
    }
    case 'speed': {
      const [fast, slow] = rng.shuffle(objects);
      for (const object of objects) place(object, TOY_FRAMES - 1, object.fromCell);
      if (fast && slow) {
        const row = Math.floor(fast.fromCell / 3);
        place(fast, 0, row * 3 + (rng.chance(0.5) ? 0 : 2));
        place(fast, TOY_FRAMES - 1, row * 3 + 2 - (fast.fromCell % 3));
        place(
          slow,
          TOY_FRAMES - 1,
          slow.fromCell % 3 === 1 ? slow.fromCell + 1 : slow.fromCell - (slow.fromCell % 3) + 1,
        );
      }
      break;
    }
    case 'colour':
      subject.colourAfter = rng.pick(TOY_COLOURS);
      break;
    case 'change': {
      const spare = objects.find((o) => o.changeFrame < TOY_FRAMES)?.colourAfter as ToyColour;
      for (const object of objects)
        Object.assign(object, { changeFrame: TOY_FRAMES, colourAfter: object.colour });
      Object.assign(any, { changeFrame: 4, colourAfter: spare });
      break;
    }
    case 'count':
      if (rng.chance(0.5)) objects.splice(objects.indexOf(any), 1);
      else Object.assign(any, { enterFrame: 0, leaveFrame: TOY_FRAMES });
      break;
    case 'order': {
      const frames = scene.events.map((e) => e.frame);
      scene.events.forEach((event, i) => {
        const object = objects[event.object] as ToyObject;
        const frame = frames[frames.length - 1 - i] as number;
        Object.assign(object, scene.scenario === 'enter' ? { enterFrame: frame } : { leaveFrame: frame });
        event.frame = frame;
      });
      break;
    }
  }
  return scene;
}

/**
 * A copy of the question's scene, seen wrongly so that another option of the question follows from it where possible.
 * Throws if no misreading of this scene changes the answer.
 */
export function corruptScene(question: ToyQuestion, rng: ToyRng): ToyScene {
  const right = answerText(question.scene, question.topic);
  let fallback: ToyScene | undefined;
  for (let i = 0; i < 40; i++) {
    const scene = misread(question, rng);
    const answer = answerText(scene, question.topic);
    if (answer === right) continue;
    if (question.options.includes(answer)) return scene;
    fallback ??= scene;
  }
  if (!fallback)
    throw new Error(`No misreading of seed ${question.scene.seed} changes a "${question.family}" answer.`);
  return fallback;
}
