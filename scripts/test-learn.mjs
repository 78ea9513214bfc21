// `npm run test:learn [-- --seeds 1,2,3 --out bench/learn.json]`: the toy preset learns. For each seed 60 steps of GRPO
// from public/models/toy-base, 512 held-out questions about H.264 clips before and after. Sampled accuracy must rise by
// 0.15, the control with black frames must stay, a share of the base's traces must check themselves, which must fix more
// than it breaks, and after training more of them must; all within 45 minutes a seed (`learn-problems.mjs`). The
// curves go to a JSON file. It has the machine for itself and takes up to two hours.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { learnProblems, QUESTIONS } from './learn-problems.mjs';

const STEPS = 60;
const CURVES = [
  'reward',
  'rewards/accuracy_reward/mean',
  'rewards/format_reward/mean',
  'self_check_rate',
  'kl',
  'entropy',
  'grad_norm',
  'completions/mean_length',
  'frac_reward_zero_std',
  'step_time',
];

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1,2,3' },
    out: { type: 'string', default: 'bench/learn.json' },
    /** An eval_before.json: the first seed need not check the base either. */
    before: { type: 'string' },
  },
});

const folder = await mkdtemp(join(tmpdir(), 'learn-'));
// What the base answers does not depend on the seed: it is checked once, and its time counted for every seed.
let known = values.before;
const runs = [];
const problems = [];
for (const seed of values.seeds.split(',').map(Number)) {
  const { lines, report } = await train(seed);
  const { eval_before: before, eval_after: after, seconds } = report;
  const gain = after.accuracy_sampled - before.accuracy_sampled;
  const found = learnProblems(report);
  problems.push(...found.map((problem) => `seed ${seed}: ${problem}`));
  const curves = Object.fromEntries(CURVES.map((name) => [name, lines.map((line) => line[name] ?? null)]));
  runs.push({ ...report, gain, problems: found, curves });
  console.log(
    `seed ${seed}: sampled ${before.accuracy_sampled.toFixed(3)} -> ${after.accuracy_sampled.toFixed(3)}, ` +
      `greedy ${before.accuracy_greedy.toFixed(3)} -> ${after.accuracy_greedy.toFixed(3)}, ` +
      `checks itself ${before.self_check_rate.toFixed(3)} -> ${after.self_check_rate.toFixed(3)}, ` +
      `black frames ${report.accuracy_blank_frames_before.toFixed(3)} -> ` +
      `${report.accuracy_blank_frames_after.toFixed(3)}, ${(seconds / 60).toFixed(1)} minutes`,
  );
  // What is known so far stays, should a later seed fail.
  await mkdir(dirname(values.out), { recursive: true });
  await writeFile(values.out, `${JSON.stringify({ steps: STEPS, questions: QUESTIONS, runs }, null, 1)}\n`);
}
for (const problem of problems) console.error(problem);
await rm(folder, { recursive: true, force: true });
process.exit(problems.length > 0 ? 1 : 0);

/** One run of the command line: the lines of its log and its last line. */
async function train(seed) {
  const args = ['scripts/cli.mjs', 'train', '--json', '--preset', 'toy'];
  args.push('--steps', `${STEPS}`, '--seed', `${seed}`, '--eval-questions', `${QUESTIONS}`);
  args.push('--out', join(folder, `seed-${seed}`));
  if (known) args.push('--before', known);
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.startsWith('{')) continue;
    lines.push(JSON.parse(line));
    const { step, reward, step_time } = lines.at(-1);
    if (step)
      console.log(`seed ${seed}, step ${step}: reward ${reward.toFixed(2)}, ${step_time.toFixed(1)} s`);
  }
  const code = child.exitCode ?? (await new Promise((resolve) => child.on('exit', resolve)));
  const report = lines.pop();
  if (code !== 0 || report?.eval_after === undefined) throw new Error(`The run of seed ${seed} failed.`);
  known ??= join(folder, `seed-${seed}`, 'eval_before.json');
  return { lines, report };
}
