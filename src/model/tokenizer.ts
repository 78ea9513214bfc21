import { Qwen2Tokenizer } from '@huggingface/transformers';
import { CheckpointError } from '../weights/errors';
import type { FileStore } from '../weights/file-store';
import { END_OF_TEXT, IMAGE_PLACEHOLDER, renderPrompt } from './prompt';
import { readTokenizerFiles, type TokenizerFiles } from './tokenizer-files';

/** Placeholder id of the video in a prompt's ids. */
export const IMAGE_TOKEN_INDEX = -200;
/** Label of a position that does not count in a loss. */
export const IGNORE_INDEX = -100;

/** How `decode` and `TokenStream` treat special tokens. */
export interface DecodeOptions {
  /** True (default): leave out `<|endoftext|>` and the like. */
  skip_special_tokens?: boolean;
}

/** A model's tokenizer: Qwen2's byte-level BPE, from a checkpoint's own files. */
export class Tokenizer {
  /** Ends generation; also pads. */
  readonly eos_token_id: number;
  readonly pad_token_id: number;
  /** What the tokenizer was built from. */
  readonly source: TokenizerFiles['source'];
  private readonly bpe: Qwen2Tokenizer;
  private readonly tokens: (string | undefined)[] = [];
  private readonly added = new Map<number, { content: string; special: boolean }>();

  /** @throws CheckpointError where the files do not make a tokenizer with an end-of-text token. */
  constructor(files: TokenizerFiles) {
    this.source = files.source;
    for (const [token, id] of Object.entries(files.tokenizer.model.vocab)) this.tokens[id] = token;
    for (const token of files.tokenizer.added_tokens) this.added.set(token.id, token);
    this.bpe = new Qwen2Tokenizer(files.tokenizer, files.config);
    const eos = idOf(this.bpe.eos_token_id) ?? this.idOfAdded(END_OF_TEXT);
    if (eos === undefined) throw new CheckpointError('tokenizer_config.json names no eos_token.');
    this.eos_token_id = eos;
    this.pad_token_id = idOf(this.bpe.pad_token_id) ?? eos;
  }

  /** Reads the tokenizer of a checkpoint folder. Throws CheckpointError naming the missing or damaged file. */
  static async load(store: FileStore): Promise<Tokenizer> {
    return new Tokenizer(await readTokenizerFiles(store));
  }

  /** Number of ids that have a token (a model's embedding may have more rows). */
  get vocab_size(): number {
    return Math.max(this.tokens.length, ...[...this.added.keys()].map((id) => id + 1));
  }

  /** Ids of a text, without anything put before or after it. Special tokens written out in the text count as such. */
  encode(text: string): number[] {
    return text === '' ? [] : this.bpe.encode(text, { add_special_tokens: false });
  }

  /** Text of ids; bytes that are not UTF-8 become U+FFFD, ids without a token nothing. */
  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    const known = [...ids].filter((id) => this.hasToken(id));
    if (!known.length) return '';
    const { skip_special_tokens = true } = options;
    return this.bpe.decode(known, { skip_special_tokens, clean_up_tokenization_spaces: false });
  }

  /**
   * Ids of a prompt, with -200 for every `<image>`. The pieces between are tokenised apart from each other, as in the
   * original, so no token reaches over the video.
   */
  encodePrompt(prompt: string): Int32Array<ArrayBuffer> {
    const ids: number[] = [];
    for (const [i, piece] of prompt.split(IMAGE_PLACEHOLDER).entries()) {
      if (i > 0) ids.push(IMAGE_TOKEN_INDEX);
      for (const id of this.encode(piece)) ids.push(id);
    }
    return Int32Array.from(ids);
  }

  /**
   * Ids and labels of a question with its answer (supervised training). Labels are the ids from the answer on, with its
   * end of text, and -100 before: as many as `... ASSISTANT: ` has tokens, less one, because its last space merges with
   * the answer. Where the lengths do not add up (a separator inside the texts) everything is -100, as in the original.
   */
  encodeTraining(
    message: string,
    answer: string,
  ): { input_ids: Int32Array<ArrayBuffer>; labels: Int32Array<ArrayBuffer> } {
    const text = renderPrompt(message, answer);
    const input_ids = this.encodePrompt(text);
    const separator = ' ASSISTANT: ';
    const labels = input_ids.slice();
    let position = 0;
    for (const round of text.split(END_OF_TEXT)) {
      const parts = round.split(separator);
      if (parts.length !== 2) break;
      const instruction = this.encodePrompt(parts[0] + separator).length - 1;
      labels.fill(IGNORE_INDEX, position, position + instruction);
      position += this.encodePrompt(round).length + 1;
    }
    if (position !== input_ids.length) labels.fill(IGNORE_INDEX);
    return { input_ids, labels };
  }

  /** Whether an id has a token. */
  hasToken(id: number): boolean {
    return this.tokens[id] !== undefined || this.added.has(id);
  }

  /** Whether an id is an added token, which stands for its literal text. */
  isAdded(id: number): boolean {
    return this.added.has(id);
  }

  /** Whether an id is a special token, which `decode` leaves out by default. */
  isSpecial(id: number): boolean {
    return this.added.get(id)?.special ?? false;
  }

  /**
   * UTF-8 bytes of one token, which may be a part of a character; the literal text of an added token. Empty for an id
   * without a token.
   */
  tokenBytes(id: number): Uint8Array<ArrayBuffer> {
    const added = this.added.get(id);
    if (added) return new TextEncoder().encode(added.content);
    const token = this.tokens[id] ?? '';
    const bytes: number[] = [];
    for (const char of token) {
      const byte = BYTE_OF_CHAR.get(char);
      if (byte !== undefined) bytes.push(byte);
    }
    return Uint8Array.from(bytes);
  }

  private idOfAdded(content: string): number | undefined {
    for (const [id, token] of this.added) if (token.content === content) return id;
    return undefined;
  }
}

function idOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

/** GPT-2's table of printable stand-ins for bytes, backwards. */
const BYTE_OF_CHAR = new Map<string, number>();
for (let byte = 0, next = 256; byte < 256; byte++) {
  const printable =
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  BYTE_OF_CHAR.set(String.fromCodePoint(printable ? byte : next++), byte);
}
