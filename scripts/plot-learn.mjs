// `node scripts/plot-learn.mjs bench/learn.json bench/learn.svg`: the curves of `npm run test:learn`, a line a seed.
import { readFile, writeFile } from 'node:fs/promises';

const PANELS = [
  { key: 'rewards/accuracy_reward/mean', title: 'answers that are right', top: 1 },
  { key: 'self_check_rate', title: 'traces that check themselves', top: 1 },
  { key: 'kl', title: 'KL from the base, nats a token' },
  { key: 'completions/mean_length', title: 'tokens of an answer' },
];
const COLOURS = ['#1b5fc1', '#b4540a', '#1a7f4b', '#7a3fb0', '#a3263f'];
/** Steps that a point is the mean of: a step has 64 answers to 8 questions. */
const SMOOTH = 5;
const [WIDTH, HEIGHT, GAP, LEFT, TOP] = [300, 150, 70, 48, 40];

const [from, to] = process.argv.slice(2);
if (!from || !to) {
  console.error('node scripts/plot-learn.mjs LEARN.json OUT.svg');
  process.exit(2);
}
const { runs, steps } = JSON.parse(await readFile(from, 'utf8'));
const panels = PANELS.map((panel, i) =>
  drawPanel(panel, LEFT + (i % 2) * (WIDTH + GAP), TOP + Math.floor(i / 2) * (HEIGHT + GAP)),
);
const legend = runs.map(({ seed }, i) =>
  text(LEFT + 70 * i, 18, `seed ${seed}`, COLOURS[i % COLOURS.length]),
);
const size = [LEFT + 2 * WIDTH + GAP + 20, TOP + 2 * HEIGHT + GAP + 36];
await writeFile(
  to,
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.join(' ')}" font-family="system-ui, sans-serif" font-size="12">\n` +
    `<rect width="100%" height="100%" fill="#fff"/>\n${[...legend, ...panels].join('\n')}\n</svg>\n`,
);

function drawPanel({ key, title, top }, x, y) {
  const curves = runs.map(({ curves }) => smooth(curves[key]));
  const most = top ?? Math.max(...curves.flat()) * 1.1;
  const place = (value, step) =>
    `${(x + (step / (steps - 1)) * WIDTH).toFixed(1)},${(y + HEIGHT * (1 - value / most)).toFixed(1)}`;
  const lines = curves.map(
    (curve, i) =>
      `<polyline fill="none" stroke="${COLOURS[i % COLOURS.length]}" stroke-width="1.6" points="${curve.map(place).join(' ')}"/>`,
  );
  const ticks = [0, 0.5, 1].map((share) => {
    const at = y + HEIGHT * (1 - share);
    return (
      `<path d="M${x} ${at}h${WIDTH}" stroke="#ddd"/>` +
      text(x - 6, at + 4, Number((share * most).toPrecision(2)), '#555', 'end')
    );
  });
  const ends =
    text(x, y + HEIGHT + 16, 'step 1', '#555') + text(x + WIDTH, y + HEIGHT + 16, `${steps}`, '#555', 'end');
  return [text(x, y - 8, title, '#111'), ...ticks, ends, ...lines].join('\n');
}

/** Means over up to SMOOTH steps before and with each one. */
function smooth(values) {
  return values.map((_, i) => {
    const window = values.slice(Math.max(0, i + 1 - SMOOTH), i + 1);
    return window.reduce((sum, value) => sum + value, 0) / window.length;
  });
}

function text(x, y, words, colour, anchor = 'start') {
  return `<text x="${x}" y="${y}" fill="${colour}" text-anchor="${anchor}">${words}</text>`;
}
