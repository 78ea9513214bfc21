import { describe, expect, it } from 'vitest';
import { goldenJson, goldenStore } from '../support/golden';
import type { GoldenText } from '../support/tokenizer-golden';
import type { TokenizerJob, TokenizerReport } from './tokenizer-worker';

async function inWorker(names: string[]): Promise<TokenizerReport> {
  const store = await goldenStore();
  const files = new Map<string, string>();
  for (const name of names) files.set(name, (await store.text(name))!);
  const worker = new Worker(new URL('./tokenizer-worker.ts', import.meta.url), { type: 'module' });
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => reject(new Error(event.message));
      const job: TokenizerJob = { files, golden: {} as GoldenText };
      void goldenJson<GoldenText>('text.json').then(
        (golden) => worker.postMessage({ ...job, golden }),
        reject,
      );
    });
  } finally {
    worker.terminate();
  }
}

const isSource = (url: string) => url.startsWith(location.origin) && /\.(m?js|ts)(\?|$)/.test(url);

describe('the tokenizer in a worker, next to the one runtime', () => {
  it.each([
    ['tokenizer.json', ['tokenizer.json', 'tokenizer_config.json']],
    ['vocab.json + merges.txt', ['vocab.json', 'merges.txt', 'added_tokens.json', 'tokenizer_config.json']],
  ])('agrees with the reference from %s and fetches nothing', async (source, names) => {
    const report = await inWorker(names);
    expect(report.problems).toEqual([]);
    expect(report.source).toBe(source);
    // Transformers.js would have the runtime come from a CDN; and no runtime is needed for text.
    expect(report.wasmPaths).toBe('null');
    // The worker's own probe shows that its requests are seen.
    expect(report.resources.filter((url) => !isSource(url))).toEqual([report.probe]);
  });
});
