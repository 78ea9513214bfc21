// `npm run size`: measures what `npm run build` wrote. Fails where the page's own JavaScript has grown beyond its
// limit, or where a file has crept in that a plain static host or the content security policy would not serve.
import { readdir, readFile, stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

/**
 * Limit of the page's own JavaScript: the Ask page with all that it loads later, and the workers, each file gzipped by
 * itself. The files of a page behind another tab or of a dialog, and the engine's for it, come when it is used, and
 * count by themselves.
 */
const OWN_LIMIT_KB = 350;
const TAB_LIMITS_KB = {
  'train-page': 90,
  'training-desk': 90,
  'training-checks': 20,
  'plan-training': 90,
  'bench-page': 60,
  'all-kernels': 20,
  'model-dialog': 30,
  'model-desk-parts': 20,
  'export-dialog': 20,
};

// Not the page's own: ONNX Runtime Web (one of its two builds is fetched, where it is needed) and Transformers.js,
// which vite.config.ts keeps in a chunk of its own.
const RUNTIMES = {
  'ONNX Runtime, JSPI': /^ort\.jspi/,
  'ONNX Runtime, asyncify': /^ort\.webgpu/,
  'Transformers.js': /^transformers-/,
};

const KNOWN_TYPES = [
  '.html',
  '.js',
  '.css',
  '.wasm',
  '.woff2',
  '.woff',
  '.svg',
  '.png',
  '.jpg',
  '.mp4',
  '.json',
  '.safetensors',
  '.txt',
];

const dist = fileURLToPath(new URL('../dist/', import.meta.url));
const problems = [];
const kb = (bytes) => `${(bytes / 1000).toFixed(1)} KB`;

const names = [];
for (const entry of await readdir(dist, { recursive: true })) {
  if ((await stat(`${dist}/${entry}`)).isFile()) names.push(entry.replaceAll('\\', '/'));
}
const scripts = [];
for (const name of names.filter((name) => name.endsWith('.js'))) {
  const text = await readFile(`${dist}/${name}`, 'utf8');
  scripts.push({
    name: name.replace(/^.*\//, ''),
    size: gzipSync(text, { level: 9 }).length,
    imports: [...text.matchAll(/(?:\bfrom|\bimport) ?["']\.\/([^"']+)["']/g)].map((match) => match[1]),
  });
}

for (const [runtime, pattern] of Object.entries(RUNTIMES)) {
  const files = scripts.filter(({ name }) => pattern.test(name));
  if (files.length !== 1)
    problems.push(`${runtime} should be in one file of its own, and is in ${files.length}.`);
  for (const { name, size } of files) console.log(`${kb(size).padStart(10)}  ${name}  (${runtime})`);
}
const own = scripts.filter(({ name }) => !Object.values(RUNTIMES).some((pattern) => pattern.test(name)));
for (const { name, size } of own) console.log(`${kb(size).padStart(10)}  ${name}`);
/** Names of scripts, and of all that they import before they run. */
function closure(names, found = new Set()) {
  for (const name of names) {
    if (found.has(name)) continue;
    found.add(name);
    closure(own.find((script) => script.name === name)?.imports ?? [], found);
  }
  return found;
}
const entry = await readFile(`${dist}/index.html`, 'utf8');
// The page and the engine's worker, with all that they import at their start, with the first video or for a new toy clip.
const isFirst = ({ name }) => entry.includes(name) || /^(worker|reader|toy-clip)-/.test(name);
const first = closure(own.filter(isFirst).map(({ name }) => name));
const behindTabs = new Set();
for (const [tab, limit] of Object.entries(TAB_LIMITS_KB)) {
  const roots = own.filter(({ name }) => name.startsWith(`${tab}-`)).map(({ name }) => name);
  if (roots.length === 0) continue;
  const names = [...closure(roots)].filter((name) => !first.has(name));
  check(`${tab}, when its tab is used`, names, limit);
  for (const name of names) behindTabs.add(name);
}
const rest = own.map(({ name }) => name).filter((name) => !behindTabs.has(name));
check("the page's own JavaScript without those of other tabs", rest, OWN_LIMIT_KB);

function check(what, names, limit) {
  const size = own.reduce((sum, script) => sum + (names.includes(script.name) ? script.size : 0), 0);
  console.log(`${kb(size).padStart(10)}  ${what}, gzip (limit ${limit} KB)`);
  if (size > limit * 1000) problems.push(`${what}: ${kb(size)} gzip, over ${limit} KB.`);
}

const wasm = names.filter((name) => name.endsWith('.wasm'));
for (const name of wasm)
  console.log(`${kb((await stat(`${dist}/${name}`)).size).padStart(10)}  ${name}  (uncompressed)`);
if (wasm.length !== 2)
  problems.push(`dist has ${wasm.length} wasm files; both builds of ONNX Runtime make two.`);

const unknown = names.filter((name) => !KNOWN_TYPES.includes(extname(name)));
if (unknown.length) problems.push(`A static host may not know the type of ${unknown.join(', ')}.`);

const html = await readFile(`${dist}/index.html`, 'utf8');
if (!html.includes('http-equiv="Content-Security-Policy"'))
  problems.push('index.html names no content security policy.');
if (/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=/.test(html))
  problems.push('index.html has an inline script or style.');
if (/(?:src|href)="\//.test(html)) problems.push('index.html has an absolute path.');

for (const problem of problems) console.error(problem);
process.exit(problems.length ? 1 : 0);
