import { readJson } from '../weights/checkpoint';
import { CheckpointError } from '../weights/errors';
import type { FileStore } from '../weights/file-store';

type Json = Record<string, unknown>;

/** An entry of `added_tokens` in tokenizer.json. */
export interface AddedToken {
  id: number;
  content: string;
  single_word: boolean;
  lstrip: boolean;
  rstrip: boolean;
  normalized: boolean;
  special: boolean;
}

/** The parts of tokenizer.json that a byte-level BPE has. */
export interface TokenizerJson extends Json {
  added_tokens: AddedToken[];
  model: { type: string; vocab: Record<string, number>; merges: (string | [string, string])[] } & Json;
}

// PRETOKENIZE_REGEX of Qwen2's slow tokenizer.
const QWEN2_SPLIT =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** What a tokenizer is built from. */
export interface TokenizerFiles {
  tokenizer: TokenizerJson;
  config: Json;
  /** Whether tokenizer.json was there, or its content was put together from the slow tokenizer's files. */
  source: 'tokenizer.json' | 'vocab.json + merges.txt';
}

/**
 * Reads a checkpoint's tokenizer: tokenizer.json where it is there, else vocab.json, merges.txt, added_tokens.json
 * and tokenizer_config.json, as the slow Qwen2 tokenizer saves them.
 * @throws CheckpointError naming the missing or damaged file.
 */
export async function readTokenizerFiles(store: FileStore): Promise<TokenizerFiles> {
  const config = asObject(await readJson(store, 'tokenizer_config.json'), 'tokenizer_config.json') ?? {};
  const ready = asObject(await readJson(store, 'tokenizer.json'), 'tokenizer.json');
  if (ready) return { tokenizer: checkReady(ready), config, source: 'tokenizer.json' };
  const vocab = asObject(await readJson(store, 'vocab.json'), 'vocab.json');
  const merges = await store.text('merges.txt');
  if (!vocab || merges === undefined) {
    throw new CheckpointError(
      `There is no tokenizer in ${store.name}: neither tokenizer.json nor vocab.json with merges.txt.`,
    );
  }
  const added = asObject(await readJson(store, 'added_tokens.json'), 'added_tokens.json') ?? {};
  const specialMap = asObject(await readJson(store, 'special_tokens_map.json'), 'special_tokens_map.json');
  const tokenizer: TokenizerJson = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens(config, added, specialMap ?? {}),
    normalizer: { type: 'NFC' },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: QWEN2_SPLIT }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: checkVocab(vocab, 'vocab.json'),
      merges: parseMerges(merges),
    },
  };
  return { tokenizer, config: withSpecials(config, specialMap ?? {}), source: 'vocab.json + merges.txt' };
}

function asObject(value: unknown, file: string): Json | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new CheckpointError(`${file} is not an object.`);
  }
  return value as Json;
}

function checkReady(json: Json): TokenizerJson {
  const model = json.model as Json | undefined;
  if (model?.type !== 'BPE' || typeof model.vocab !== 'object' || !Array.isArray(model.merges)) {
    throw new CheckpointError('tokenizer.json does not describe a byte-level BPE tokenizer.');
  }
  checkVocab(model.vocab as Json, 'tokenizer.json');
  return { ...json, added_tokens: json.added_tokens ?? [] } as TokenizerJson;
}

function checkVocab(vocab: Json, file: string): Record<string, number> {
  for (const [token, id] of Object.entries(vocab)) {
    if (!Number.isSafeInteger(id) || (id as number) < 0) {
      throw new CheckpointError(
        `${file}: the id of the token ${JSON.stringify(token)} is ${JSON.stringify(id)}.`,
      );
    }
  }
  return vocab as Record<string, number>;
}

function parseMerges(text: string): [string, string][] {
  const merges: [string, string][] = [];
  for (const [i, raw] of text.split('\n').entries()) {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    if (!line || (i === 0 && line.startsWith('#version'))) continue;
    const pair = line.split(' ');
    if (pair.length !== 2 || !pair[0] || !pair[1]) {
      throw new CheckpointError(`merges.txt: line ${i + 1} is not two tokens: ${JSON.stringify(line)}.`);
    }
    merges.push([pair[0], pair[1]]);
  }
  return merges;
}

/** tokenizer_config.json has the added tokens with their flags; added_tokens.json alone leaves those to be inferred. */
function addedTokens(config: Json, added: Json, specialMap: Json): AddedToken[] {
  const tokens = new Map<number, AddedToken>();
  const specials = new Set<unknown>();
  for (const value of Object.values({ ...config, ...specialMap })) {
    for (const item of Array.isArray(value) ? value : [value]) specials.add(contentOf(item));
  }
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  for (const [content, id] of Object.entries(added)) {
    tokens.set(Number(id), { id: Number(id), content, ...flags, special: specials.has(content) });
  }
  for (const [id, value] of Object.entries((config.added_tokens_decoder as Json | undefined) ?? {})) {
    const item = value as Partial<AddedToken>;
    tokens.set(Number(id), { ...flags, special: false, content: '', ...item, id: Number(id) });
  }
  return [...tokens.values()].sort((a, b) => a.id - b.id);
}

function withSpecials(config: Json, specialMap: Json): Json {
  const result = { ...config };
  for (const name of ['bos_token', 'eos_token', 'pad_token', 'unk_token']) {
    result[name] ??= contentOf(specialMap[name]) ?? null;
  }
  return result;
}

function contentOf(item: unknown): unknown {
  return typeof item === 'object' && item !== null ? (item as Json).content : item;
}
