import { afterAll, expect, test } from 'vitest';
import { RewardSandbox } from '../../src/app/train/reward-sandbox';

// Users' reward functions in the real frame (public/reward-frame.html).

const FRAME = new URL('/reward-frame.html', location.href).href;
const sandbox = new RewardSandbox(FRAME);
afterAll(() => sandbox.close());

const ANSWERS = [
  { completion: '<answer>B</answer>', problem: 'Where?', solution: 'B', tokens: 7 },
  { completion: '<answer>A</answer>', problem: 'Where?', solution: 'B', tokens: 5 },
];
const score = (code: string, limit?: number) => sandbox.score(code, ANSWERS, limit);

test('scores come from the function, whichever way it is written', async () => {
  const declared = `function my_reward(completion, { solution, tokens }) {
    // a comment at the end
    return (completion.includes(solution) ? 1 : 0) - tokens / 64; // and here
  };
  `;
  expect(await score(declared)).toEqual([1 - 7 / 64, -5 / 64]);
  expect(await score('async (completion) => completion.length')).toEqual([18, 18]);
});

test('what is wrong with a function is said, and the next one runs', async () => {
  await expect(score('function my_reward(c, { label }) { return label.length }')).rejects.toThrow(
    /^my_reward threw “.*undefined.*” on 2 of 2 answers$/,
  );
  await expect(score('function short(c) { return c.includes("A") ? 0 : "one" }')).rejects.toThrow(
    'short returned "one" where a finite number must be, on 1 of 2 answers',
  );
  await expect(score('() => 0 / 0')).rejects.toThrow('returned NaN');
  await expect(score('() => {}')).rejects.toThrow('returned undefined');
  await expect(score('function (')).rejects.toThrow('cannot be read');
  await expect(score('41 + 1')).rejects.toThrow('must be one function, and is 42,');
  await expect(score('() => { self.postMessage({ results: [null, 2] }); while (true) {} }')).rejects.toThrow(
    'changed its own surroundings',
  );
  const before = performance.now();
  await expect(score('() => { while (true) {} }', 300)).rejects.toThrow('ended after 0.3 s');
  await expect(score('() => new Promise(() => {})', 300)).rejects.toThrow('ended after 0.3 s');
  expect(performance.now() - before).toBeLessThan(5000);
  expect(await score('() => 2')).toEqual([2, 2]);
});

test('a function reaches neither the network, nor storage, nor the page', async () => {
  // The page itself reaches this address, so what stops the function is its sandbox.
  expect((await fetch(FRAME, { mode: 'no-cors' })).status).toBe(200);
  localStorage.setItem('secret', 'of the page');
  const url = JSON.stringify(FRAME);
  const tries = [
    `fetch(${url}, { mode: 'no-cors' })`,
    `new Promise((ok, no) => { const x = new XMLHttpRequest(); x.onload = ok; x.onerror = no; x.open('GET', ${url}); x.send(); })`,
    `new Promise((ok, no) => { const s = new WebSocket(${JSON.stringify(FRAME.replace(/^http/, 'ws'))}); s.onopen = ok; s.onerror = no; })`,
    `Promise.resolve(importScripts(${url}))`,
    `import(${url})`,
    `new Promise((ok, no) => { const r = indexedDB.open('x'); r.onsuccess = ok; r.onerror = no; })`,
    `caches.open('x')`,
    `navigator.storage.getDirectory()`,
    `Promise.resolve(localStorage.length)`,
    `Promise.resolve(parent.document.title)`,
    // A worker of a worker has the same policy.
    `new Promise((ok, no) => {
      const text = "fetch(" + ${JSON.stringify(url)} + ", { mode: 'no-cors' }).then(() => postMessage(1), () => postMessage(0))";
      const worker = new Worker(URL.createObjectURL(new Blob([text])));
      worker.onmessage = ({ data }) => (data ? ok() : no());
      worker.onerror = no;
    })`,
  ];
  const reached: string[] = [];
  for (const attempt of tries) {
    const code = `async () => { try { await (${attempt}); return 1; } catch { return 0; } }`;
    const scores = await score(code, 5000);
    if (scores.some((one) => one !== 0)) reached.push(attempt);
  }
  expect(reached).toEqual([]);
  expect(await score('() => (self.origin === "null" ? 1 : 0)')).toEqual([1, 1]);
});
