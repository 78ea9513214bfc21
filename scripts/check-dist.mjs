// `npm run size`: measures what `npm run build` wrote. Fails where the page's own JavaScript has grown beyond its
// limit, or where a file has crept in that a plain static host or the content security policy would not serve.
import { readdir, readFile, stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

/** Limit of the page's own JavaScript: all of it, lazily loaded parts and workers too, each file gzipped by itself. */
const OWN_LIMIT_KB = 350;

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
  scripts.push({
    name: name.replace(/^.*\//, ''),
    size: gzipSync(await readFile(`${dist}/${name}`), { level: 9 }).length,
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
const total = own.reduce((sum, { size }) => sum + size, 0);
console.log(`${kb(total).padStart(10)}  the page's own JavaScript, gzip (limit ${OWN_LIMIT_KB} KB)`);
if (total > OWN_LIMIT_KB * 1000)
  problems.push(`The page's own JavaScript is ${kb(total)} gzip, over ${OWN_LIMIT_KB} KB.`);

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
