import { beforeAll, describe, expect, it } from 'vitest';
import { IMAGE_PLACEHOLDER, renderPrompt } from '../../src/model/prompt';
import { TokenStream } from '../../src/model/token-stream';
import { IMAGE_TOKEN_INDEX, Tokenizer } from '../../src/model/tokenizer';
import { memoryStore } from '../../src/weights/file-store';
import { goldenBytes, goldenJson } from '../support/golden';
import { compareWithGolden, type GoldenText } from '../support/tokenizer-golden';

const SLOW = [
  'vocab.json',
  'merges.txt',
  'added_tokens.json',
  'special_tokens_map.json',
  'tokenizer_config.json',
];

async function tokenizerFrom(
  names: string[],
  change: Record<string, string | null> = {},
): Promise<Tokenizer> {
  const files = new Map<string, Uint8Array<ArrayBuffer> | string>();
  for (const name of names) files.set(name, await goldenBytes(`checkpoint/${name}`));
  for (const [name, text] of Object.entries(change))
    text === null ? files.delete(name) : files.set(name, text);
  return Tokenizer.load(memoryStore(files, 'here'));
}

let golden: GoldenText;
beforeAll(async () => {
  golden = await goldenJson<GoldenText>('text.json');
});

describe.each([
  ['tokenizer.json', ['tokenizer.json', 'tokenizer_config.json']],
  ['vocab.json + merges.txt', SLOW],
])('from %s', (source, names) => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await tokenizerFrom(names);
  });

  it('encodes, decodes and renders every reference text', () => {
    expect(tokenizer.source).toBe(source);
    expect(compareWithGolden(tokenizer, golden)).toEqual([]);
  });

  it('streams what it decodes, never half a character', () => {
    for (const { ids } of golden.encode) {
      for (const skip_special_tokens of [true, false]) {
        const stream = new TokenStream(tokenizer, { skip_special_tokens });
        const parts = ids.map((id) => stream.push(id));
        for (const part of parts) expect(part).not.toContain('\ufffd');
        expect(parts.join('') + stream.end()).toBe(tokenizer.decode(ids, { skip_special_tokens }));
      }
    }
  });

  it('knows its special ids and how many there are', () => {
    expect([tokenizer.eos_token_id, tokenizer.pad_token_id]).toEqual([980, 980]);
    expect(tokenizer.vocab_size).toBe(996);
    expect([980, 994, 300].map((id) => tokenizer.isSpecial(id))).toEqual([true, false, false]);
  });
});

describe('Tokenizer', () => {
  it('turns unfinished and invalid bytes into U+FFFD, alike at once and streamed', async () => {
    const tokenizer = await tokenizerFrom(SLOW);
    const ids = tokenizer.encode('日x'); // three byte tokens, then a letter
    const cases = [ids.slice(0, 2), [...ids.slice(0, 2), ids.at(-1)!], [ids[1]!, ids[1]!], [ids[0]!, 994]];
    for (const wrong of cases) {
      const stream = new TokenStream(tokenizer);
      const streamed = wrong.map((id) => stream.push(id)).join('') + stream.end();
      expect(streamed).toContain('\ufffd');
      expect(streamed).toBe(tokenizer.decode(wrong));
    }
    const stream = new TokenStream(tokenizer);
    expect([stream.push(ids[0]!), stream.push(980), stream.push(ids[1]!), stream.push(ids[2]!)]).toEqual([
      '',
      '',
      '',
      '日',
    ]);
  });

  it('gives nothing for an id that has an embedding row but no token', async () => {
    const tokenizer = await tokenizerFrom(SLOW);
    expect(tokenizer.decode([32, 1000, 32])).toBe('AA');
    expect(tokenizer.decode([1000])).toBe('');
    expect(new TokenStream(tokenizer).push(1000)).toBe('');
  });

  it('puts the placeholder where the video goes', async () => {
    const tokenizer = await tokenizerFrom(SLOW);
    const prompt = renderPrompt('<image>\nWhat?');
    const ids = tokenizer.encodePrompt(prompt);
    const at = ids.indexOf(IMAGE_TOKEN_INDEX);
    const [before, after] = prompt.split(IMAGE_PLACEHOLDER) as [string, string];
    expect([...ids.slice(0, at)]).toEqual(tokenizer.encode(before));
    expect([...ids.slice(at + 1)]).toEqual(tokenizer.encode(after));
  });

  it('masks a training text whose parts cannot be told apart', async () => {
    const tokenizer = await tokenizerFrom(SLOW);
    const { labels } = tokenizer.encodeTraining('<image>\nWhat?', 'x ASSISTANT: y');
    expect(labels.every((label) => label === -100)).toBe(true);
  });

  it('infers the added tokens from added_tokens.json where the config does not list them', async () => {
    const config = await goldenJson<Record<string, unknown>>('checkpoint/tokenizer_config.json');
    delete config.added_tokens_decoder;
    const tokenizer = await tokenizerFrom(SLOW, { 'tokenizer_config.json': JSON.stringify(config) });
    expect(compareWithGolden(tokenizer, golden)).toEqual([]);
    const bare = await tokenizerFrom(SLOW, { 'tokenizer_config.json': null });
    expect(compareWithGolden(bare, golden)).toEqual([]);
  });

  it('names the missing or damaged file', async () => {
    await expect(tokenizerFrom(['vocab.json'])).rejects.toThrow(/neither tokenizer.json nor vocab.json with/);
    await expect(tokenizerFrom(SLOW, { 'merges.txt': 'a b\nabc\n' })).rejects.toThrow(/merges.txt: line 2/);
    await expect(tokenizerFrom(SLOW, { 'vocab.json': '{"a": "b"}' })).rejects.toThrow(/vocab.json: the id/);
    await expect(tokenizerFrom(SLOW, { 'tokenizer.json': '{"model": {}}' })).rejects.toThrow(
      /byte-level BPE/,
    );
    await expect(tokenizerFrom(SLOW, { 'vocab.json': '{' })).rejects.toThrow(/vocab.json is not valid JSON/);
  });
});
