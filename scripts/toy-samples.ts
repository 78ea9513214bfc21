/**
 * Renders the page's sample clips from held-out seeds to public/samples/*.mp4 (H.264, crf 23, 256x256, at most 200 KB)
 * with a still of each, and writes public/samples/index.json. Needs ffmpeg with libx264 on the path.
 *
 *   npx tsx scripts/toy-samples.ts
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { makeToyQuestions, renderToyFrames, TOY_FAMILIES, type ToyFamily } from '../src/data/toy/index';
import { makeToyScene, type ToyScene } from '../src/data/toy/scene';
import { HELD_OUT_SEED_START } from '../src/data/toy/vocabulary';

const FOLDER = 'public/samples';
const SIZE = 256;
/** 22 frames at 11 a second: 2 s, and uniform sampling of 8 gives every third one, the model's frames. */
const STEPS_PER_FRAME = 3;
const FRAMES_PER_SECOND = 11;
const MAX_BYTES = 200_000;
/** Sample clips come from their own part of the held-out seeds, away from the evaluation's. */
const FIRST_SEED = HELD_OUT_SEED_START + 500_000;

interface Wanted {
  file: string;
  title: string;
  first: ToyFamily;
  fits: (scene: ToyScene) => boolean;
}

const has = (scene: ToyScene, kind: string) => scene.events.some((e) => e.kind === kind);
const WANTED: Wanted[] = [
  {
    file: 'one-moves',
    title: 'One of three moves',
    first: 'direction',
    fits: (s) => s.scenario === 'move' && s.objects.length === 3,
  },
  {
    file: 'race',
    title: 'A slow and a fast shape',
    first: 'speed',
    fits: (s) => s.scenario === 'race' && s.objects.length === 2,
  },
  {
    file: 'colour-change',
    title: 'A colour changes',
    first: 'change',
    fits: (s) => s.scenario === 'change' && s.objects.length === 3 && !has(s, 'move'),
  },
  {
    file: 'entering',
    title: 'Two shapes enter',
    first: 'order',
    fits: (s) => s.scenario === 'enter' && s.objects.length === 3,
  },
  {
    file: 'leaving',
    title: 'Two shapes leave',
    first: 'count',
    fits: (s) => s.scenario === 'leave' && s.objects.length === 3,
  },
  {
    file: 'drift-and-change',
    title: 'A shape drifts and changes colour',
    first: 'colour',
    fits: (s) => s.scenario === 'change' && s.objects.length === 2 && has(s, 'move'),
  },
  {
    file: 'pair',
    title: 'One of two moves',
    first: 'mover',
    fits: (s) => s.scenario === 'move' && s.objects.length === 2,
  },
  {
    file: 'race-of-three',
    title: 'Two move, one stays',
    first: 'position',
    fits: (s) => s.scenario === 'race' && s.objects.length === 3,
  },
];

function encode(scene: ToyScene, path: string): void {
  const frames = renderToyFrames(scene, { size: SIZE, stepsPerFrame: STEPS_PER_FRAME });
  const input = [
    '-f',
    'rawvideo',
    '-pix_fmt',
    'rgb24',
    '-s',
    `${SIZE}x${SIZE}`,
    '-r',
    `${FRAMES_PER_SECOND}`,
    '-i',
    '-',
  ];
  const output = ['-c:v', 'libx264', '-crf', '23', '-pix_fmt', 'yuv420p', '-movflags', '+faststart', path];
  const result = spawnSync('ffmpeg', ['-v', 'error', '-y', ...input, ...output], {
    input: Buffer.concat(frames),
  });
  if (result.status !== 0)
    throw new Error(`ffmpeg could not write ${path}: ${result.stderr ?? result.error}`);
  const bytes = statSync(path).size;
  if (bytes > MAX_BYTES) throw new Error(`${path} has ${bytes} bytes, more than ${MAX_BYTES}.`);
}

/** Writes the still of a clip that the gallery shows: from its middle, 128 px wide. */
function makePoster(clip: string, path: string): void {
  const still = ['-ss', '1', '-frames:v', '1', '-vf', 'scale=128:128:flags=area', '-q:v', '5', path];
  const result = spawnSync('ffmpeg', ['-v', 'error', '-y', '-i', clip, ...still]);
  if (result.status !== 0)
    throw new Error(`ffmpeg could not write ${path}: ${result.stderr ?? result.error}`);
}

mkdirSync(FOLDER, { recursive: true });
let seed = FIRST_SEED;
const covered = new Set<string>();
const index = WANTED.map(({ file, title, first, fits }) => {
  let scene = makeToyScene(seed++);
  while (!fits(scene)) scene = makeToyScene(seed++);
  encode(scene, `${FOLDER}/${file}.mp4`);
  makePoster(`${FOLDER}/${file}.mp4`, `${FOLDER}/${file}.jpg`);
  const questions = makeToyQuestions(scene, 4).sort(
    (a, b) => Number(b.family === first) - Number(a.family === first),
  );
  for (const q of questions) covered.add(q.family);
  return {
    file: `${file}.mp4`,
    poster: `${file}.jpg`,
    title,
    seed: scene.seed,
    questions: questions.map(({ question, options, answer, family, problem, solution }) => {
      return { question, options, answer, family, problem, solution };
    }),
  };
});
const missing = TOY_FAMILIES.filter((family) => !covered.has(family));
if (missing.length > 0) throw new Error(`No sample clip asks about: ${missing.join(', ')}.`);
writeFileSync(`${FOLDER}/index.json`, `${JSON.stringify(index, null, 2)}\n`);
