import { ToyRng } from './rng';
import {
  TOY_CELLS,
  TOY_COLOURS,
  TOY_FRAMES,
  TOY_SHAPES,
  type ToyColour,
  type ToyDirection,
  type ToyShape,
} from './vocabulary';

export type ToyScenario = 'move' | 'race' | 'change' | 'enter' | 'leave';

/** One object. Positions in pixels of the 64x64 frame; frames count from 0. */
export interface ToyObject {
  shape: ToyShape;
  colour: ToyColour;
  /** Colour from `changeFrame` on; equal to `colour` where nothing changes. */
  colourAfter: ToyColour;
  /** First frame with the new colour, or `TOY_FRAMES` for never. */
  changeFrame: number;
  /** First frame in which it is seen. */
  enterFrame: number;
  /** First frame in which it is gone, or `TOY_FRAMES` for never. */
  leaveFrame: number;
  /** Index into `TOY_CELLS` at the first and at the last frame. */
  fromCell: number;
  toCell: number;
  x0: number;
  y0: number;
  x1: number;
  y1: number;
  /** Half size in pixels, 7 to 9. */
  radius: number;
  /** Width of the soft edge in pixels. */
  edge: number;
}

export interface ToyEvent {
  kind: 'move' | 'change' | 'enter' | 'leave';
  /** Index into `objects`. */
  object: number;
  /** First frame that shows it (0 for movement, which lasts the whole clip). */
  frame: number;
}

export interface ToyBackground {
  /** Colour in the middle, 15 to 80 a channel. */
  rgb: [number, number, number];
  /** Change of brightness across the frame, horizontally and vertically. */
  gradient: [number, number];
  noiseSigma: number;
  brightness: number;
  /** Added to the channels of each of the 8 frames. */
  flicker: [number, number, number][];
}

export interface ToyScene {
  seed: number;
  scenario: ToyScenario;
  /** Sorted by first colour, in the order of `TOY_COLOURS`. */
  objects: ToyObject[];
  events: ToyEvent[];
  background: ToyBackground;
}

const SCENARIOS: readonly ToyScenario[] = ['move', 'race', 'change', 'enter', 'leave'];
const SCENARIO_WEIGHTS = [28, 15, 25, 16, 16];
const OBJECT_COUNTS: Record<ToyScenario, readonly [number, number, number]> = {
  move: [2, 5, 4],
  race: [0, 5, 4],
  change: [1, 5, 5],
  enter: [0, 5, 4],
  leave: [0, 5, 4],
};
const ANCHORS = [12, 32, 52];
const JITTER = 3;
/** Centres never come closer than this, in pixels. */
export const TOY_MIN_DISTANCE = 16;

/** Where an object's centre is at a (fractional) frame time, in pixels. */
export function objectPosition(object: ToyObject, time: number): { x: number; y: number } {
  const t = time / (TOY_FRAMES - 1);
  return { x: object.x0 + (object.x1 - object.x0) * t, y: object.y0 + (object.y1 - object.y0) * t };
}

/** Whether an object is seen at a frame time. */
export function isVisible(object: ToyObject, time: number): boolean {
  return time >= object.enterFrame && time < object.leaveFrame;
}

/** An object's colour at a frame time. */
export function colourAt(object: ToyObject, time: number): ToyColour {
  return time >= object.changeFrame ? object.colourAfter : object.colour;
}

/** The cell (index into `TOY_CELLS`) of the anchor nearest to an object's centre at a frame time. */
export function cellAt(object: ToyObject, time: number): number {
  const { x, y } = objectPosition(object, time);
  const band = (v: number) => (v < 22 ? 0 : v < 42 ? 1 : 2);
  return band(y) * 3 + band(x);
}

/** Steps of one cell between the two ends of an object's path: 0, 1 (slow) or 2 (fast). */
export function cellsMoved(object: ToyObject): number {
  const rows = Math.abs(Math.floor(object.toCell / 3) - Math.floor(object.fromCell / 3));
  return rows + Math.abs((object.toCell % 3) - (object.fromCell % 3));
}

/** Direction of movement, or null for an object that stays. */
export function directionOf(object: ToyObject): ToyDirection | null {
  const rows = Math.floor(object.toCell / 3) - Math.floor(object.fromCell / 3);
  const columns = (object.toCell % 3) - (object.fromCell % 3);
  if (rows !== 0) return rows > 0 ? 'down' : 'up';
  if (columns !== 0) return columns > 0 ? 'right' : 'left';
  return null;
}

/** Makes the scene of a seed: who is there, where, and what happens. Same seed, same scene, everywhere. */
export function makeToyScene(seed: number): ToyScene {
  const rng = new ToyRng(seed);
  const scenario = SCENARIOS[rng.weighted(SCENARIO_WEIGHTS)] as ToyScenario;
  const count = 1 + rng.weighted(OBJECT_COUNTS[scenario]);
  const colours = rng.shuffle(TOY_COLOURS);
  const shapes = rng.shuffle(TOY_SHAPES);
  let objects: ToyObject[];
  do {
    objects = placeObjects(rng, scenario, count, colours, shapes);
  } while (!keepsDistance(objects));
  const events = makeEvents(rng, scenario, objects, colours[count] as ToyColour);
  // The order must not tell which object the scenario is about.
  const order = objects
    .map((_, i) => i)
    .sort((a, b) => colourIndex(objects[a] as ToyObject) - colourIndex(objects[b] as ToyObject));
  for (const event of events) event.object = order.indexOf(event.object);
  return {
    seed,
    scenario,
    objects: order.map((i) => objects[i] as ToyObject),
    events,
    background: makeBackground(rng),
  };
}

function colourIndex(object: ToyObject): number {
  return TOY_COLOURS.indexOf(object.colour);
}

/** Steps (in cells) that object i makes in a scenario. */
function stepsOf(rng: ToyRng, scenario: ToyScenario, i: number): number {
  if (scenario === 'move') return i === 0 ? 1 + rng.int(2) : 0;
  if (scenario === 'race') return i === 0 ? 2 : i === 1 ? 1 : 0;
  if (scenario === 'change') return i === 0 && rng.chance(1 / 3) ? 1 + rng.int(2) : 0;
  return 0;
}

function placeObjects(
  rng: ToyRng,
  scenario: ToyScenario,
  count: number,
  colours: readonly ToyColour[],
  shapes: readonly ToyShape[],
): ToyObject[] {
  const jitter = () => rng.range(-JITTER, JITTER);
  const objects: ToyObject[] = [];
  for (let i = 0; i < count; i++) {
    const steps = stepsOf(rng, scenario, i);
    const [fromCell, toCell] = pickPath(rng, steps);
    const x0 = (ANCHORS[fromCell % 3] as number) + jitter();
    const y0 = (ANCHORS[Math.floor(fromCell / 3)] as number) + jitter();
    const x1 = (ANCHORS[toCell % 3] as number) + jitter();
    const y1 = (ANCHORS[Math.floor(toCell / 3)] as number) + jitter();
    const colour = colours[i] as ToyColour;
    objects.push({
      shape: shapes[i] as ToyShape,
      colour,
      colourAfter: colour,
      changeFrame: TOY_FRAMES,
      enterFrame: 0,
      leaveFrame: TOY_FRAMES,
      fromCell,
      toCell,
      x0,
      y0,
      x1: steps === 0 ? x0 : x1,
      y1: steps === 0 ? y0 : y1,
      radius: rng.range(7, 9),
      edge: rng.range(0.6, 1.4),
    });
  }
  return objects;
}

/** Start and end cell of a straight path of 0, 1 or 2 steps along a row or a column. */
function pickPath(rng: ToyRng, steps: number): [number, number] {
  const from = rng.int(TOY_CELLS.length);
  if (steps === 0) return [from, from];
  const row = Math.floor(from / 3);
  const column = from % 3;
  const ends: number[] = [];
  for (const d of [-steps, steps]) {
    if (row + d >= 0 && row + d < 3) ends.push((row + d) * 3 + column);
    if (column + d >= 0 && column + d < 3) ends.push(row * 3 + column + d);
  }
  return ends.length > 0 ? [from, rng.pick(ends)] : pickPath(rng, steps);
}

function keepsDistance(objects: readonly ToyObject[]): boolean {
  for (let a = 0; a < objects.length; a++) {
    for (let b = 0; b < a; b++) {
      for (let t = 0; t < TOY_FRAMES; t++) {
        const p = objectPosition(objects[a] as ToyObject, t);
        const q = objectPosition(objects[b] as ToyObject, t);
        if ((p.x - q.x) ** 2 + (p.y - q.y) ** 2 < TOY_MIN_DISTANCE ** 2) return false;
      }
    }
  }
  return true;
}

function makeEvents(
  rng: ToyRng,
  scenario: ToyScenario,
  objects: ToyObject[],
  spareColour: ToyColour,
): ToyEvent[] {
  const events: ToyEvent[] = [];
  objects.forEach((object, i) => {
    if (cellsMoved(object) > 0) events.push({ kind: 'move', object: i, frame: 0 });
  });
  const first = objects[0] as ToyObject;
  if (scenario === 'change') {
    first.colourAfter = spareColour;
    first.changeFrame = 3 + rng.int(4);
    events.push({ kind: 'change', object: 0, frame: first.changeFrame });
  }
  if (scenario === 'enter' || scenario === 'leave') {
    const frames = rng.shuffle([2, 4, 6]).slice(0, 2);
    frames.sort((a, b) => a - b);
    frames.forEach((frame, i) => {
      const object = objects[i] as ToyObject;
      if (scenario === 'enter') object.enterFrame = frame;
      else object.leaveFrame = frame;
      events.push({ kind: scenario, object: i, frame });
    });
  }
  return events;
}

function makeBackground(rng: ToyRng): ToyBackground {
  const base = rng.range(15, 80);
  const channel = () => Math.min(80, Math.max(15, base + rng.range(-20, 20)));
  const flicker: [number, number, number][] = [];
  for (let t = 0; t < TOY_FRAMES; t++) {
    flicker.push([rng.range(-2.6, 2.6), rng.range(-2.6, 2.6), rng.range(-2.6, 2.6)]);
  }
  return {
    rgb: [channel(), channel(), channel()],
    gradient: [rng.range(-20, 20), rng.range(-20, 20)],
    noiseSigma: rng.range(2, 8),
    brightness: rng.range(0.88, 1.08),
    flicker,
  };
}
