/**
 * Writes toy clips to standard output for the training script, as fast as they are read:
 * a little-endian uint32 (length of the JSON), the JSON of one clip, then its 8 frames (8 * 64 * 64 * 3 bytes; none
 * with `"frames": false`).
 *
 *   npx tsx scripts/toy-stream.ts --from SEED --count N [--plan JSON]
 *
 * The plan says what rows come with each clip; see `Plan`.
 */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import type { ToyFamily } from '../src/data/toy/questions';
import { renderToyScene } from '../src/data/toy/render';
import { ToyRng } from '../src/data/toy/rng';
import {
  cellAt,
  colourAt,
  isVisible,
  makeToyScene,
  objectPosition,
  type ToyScene,
} from '../src/data/toy/scene';
import { makeTrainingRows, type ToyRowPlan, type ToyTrainingRow } from '../src/data/toy/training-rows';
import {
  HELD_OUT_SEED_START,
  TOY_COLOURS,
  TOY_FRAMES,
  TOY_SHAPES,
  TOY_SIZE,
} from '../src/data/toy/vocabulary';

interface Plan extends ToyRowPlan {
  frames?: boolean;
  /** Edge length of the frames, 64 by default. */
  size?: number;
  /** Share of a family's questions that is kept, 1 by default: weak families weigh more where others are thinned out. */
  keep?: Partial<Record<ToyFamily, number>>;
  /** Only what follows from the text before it is learned: the conclusions of questions, not what is seen. */
  conclusions?: boolean;
}

/** Where a careful trace ends to look and begins to reason. */
const REASONING = / (The [a-z]+ [a-z]+ moves \d.*)?So the answer is /;

function withoutSeeing(row: ToyTrainingRow): ToyTrainingRow {
  const segments = row.segments.flatMap(({ text, loss }) => {
    const at = text.match(REASONING)?.index ?? text.length;
    return [
      { text: text.slice(0, at), loss: false },
      { text: text.slice(at), loss },
    ].filter((segment) => segment.text);
  });
  return { ...row, segments };
}

function keptRows(scene: ToyScene, plan: Plan): ToyTrainingRow[] {
  const rng = new ToyRng(scene.seed + 0x73_0000_0000);
  const rows = makeTrainingRows(scene, plan).filter(
    ({ family }) => !family || rng.chance(plan.keep?.[family] ?? 1),
  );
  return plan.conclusions ? rows.map(withoutSeeing) : rows;
}

/** Per frame and seen object: [colour, shape, cell, x, y, radius]. */
function labelsOf(scene: ToyScene): number[][][] {
  const frames: number[][][] = [];
  for (let t = 0; t < TOY_FRAMES; t++) {
    const seen = scene.objects.filter((o) => isVisible(o, t));
    frames.push(
      seen.map((o) => {
        const { x, y } = objectPosition(o, t);
        const colour = TOY_COLOURS.indexOf(colourAt(o, t));
        return [colour, TOY_SHAPES.indexOf(o.shape), cellAt(o, t), x, y, o.radius];
      }),
    );
  }
  return frames;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      from: { type: 'string', default: '0' },
      count: { type: 'string', default: '16' },
      plan: { type: 'string', default: '{}' },
    },
  });
  const plan = JSON.parse(values.plan) as Plan;
  const from = Number(values.from);
  const end = from + Number(values.count);
  if (from < HELD_OUT_SEED_START && end > HELD_OUT_SEED_START)
    throw new Error('This runs into the held-out seeds.');
  for (let seed = from; seed < end; seed++) {
    const scene = makeToyScene(seed);
    const json = Buffer.from(JSON.stringify({ seed, labels: labelsOf(scene), rows: keptRows(scene, plan) }));
    const head = Buffer.alloc(4);
    head.writeUInt32LE(json.length);
    const frames = plan.frames === false ? [] : renderToyScene(scene, { size: plan.size ?? TOY_SIZE });
    if (!process.stdout.write(Buffer.concat([head, json, ...frames]))) await once(process.stdout, 'drain');
  }
}

await main();
