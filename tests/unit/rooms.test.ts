import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, it } from 'vitest';

// Which room may know of which: dependencies point down, and the page reaches the engine through its protocol alone.

const LAYERS = [
  ['app'],
  ['worker'],
  ['grpo'],
  ['generate', 'lora'],
  ['model'],
  ['attention', 'blocks', 'weights'],
  ['gpu'],
];
const layer = (room: string) => LAYERS.findIndex((rooms) => rooms.includes(room));
/** What the page may know of besides itself. */
const OF_THE_PAGE = /^src\/(app|data|video|storage)\/|^src\/worker\/[a-z-]*protocol$/;

/** Every import of a file of the program by another: `[from, to]`, paths from the root. */
const imports = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.tsx?$/.test(name))
  .flatMap((name) => {
    const path = join('src', name);
    const found = readFileSync(path, 'utf8').matchAll(/(?:from|import) '(\.[^']+)'/g);
    return [...found].map(([, to]): [string, string] => [path, normalize(join(dirname(path), to!))]);
  });

it('finds the imports', () => expect(imports.length).toBeGreaterThan(500));

it('has no import from a room above', () => {
  const up = imports.filter(([from, to]) => {
    const [above, below] = [from, to].map((path) => layer(path.split('/')[1]!)) as [number, number];
    return above >= 0 && below >= 0 && below < above;
  });
  expect(up).toEqual([]);
});

it('has a page that reaches the engine through its protocol alone', () => {
  const direct = imports.filter(
    ([from, to]) => from.startsWith('src/app/') && to.startsWith('src/') && !OF_THE_PAGE.test(to),
  );
  expect(direct).toEqual([]);
});

it('has React in the page alone', () => {
  const others = readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name) && !name.startsWith('app/'))
    .filter((name) => /from 'react/.test(readFileSync(join('src', name), 'utf8')));
  expect(others).toEqual([]);
});
