import { kvRowBytes } from '../model/kv-cache';
import type { TinyLlava } from '../model/tiny-llava';
import { GenerationError, type GenerationSuggestions } from './errors';

/** The sizes of a request. */
export interface RequestSize {
  num_generations?: number;
  max_new_tokens: number;
  forced?: readonly number[];
}

/** The device's limits that a KV cache meets. */
export interface BufferLimits {
  readonly maxBufferSize: number;
  readonly maxStorageBufferBindingSize: number;
}

/**
 * Checks that a request can be served, before anything is computed.
 * @param promptRows rows of the prompt, visual tokens included.
 * @throws GenerationError `bad-request`, `too-long` or `out-of-memory`, with settings that would work.
 */
export function checkRequest(
  request: RequestSize,
  promptRows: number,
  model: TinyLlava,
  limits: BufferLimits,
): void {
  const { num_generations = 1, max_new_tokens, forced = [] } = request;
  const { text_config } = model.config;
  const whole = (name: string, value: number) => {
    if (!Number.isInteger(value) || value < 1)
      throw bad(`${name} must be a whole number above 0, not ${value}.`);
  };
  whole('num_generations', num_generations);
  whole('max_new_tokens', max_new_tokens);
  const unknown = forced.find((id) => !Number.isInteger(id) || id < 0 || id >= text_config.vocab_size);
  if (unknown !== undefined) throw bad(`The answer begins with the token ${unknown}, which does not exist.`);

  const before = promptRows + forced.length;
  const { max_positions } = model.language;
  if (before + max_new_tokens > max_positions) {
    const fits = max_positions - before;
    const way = fits > 0 ? `Ask for ${fits} new tokens at most.` : 'Shorten the question.';
    throw new GenerationError(
      'too-long',
      'The answer would be too long.',
      `The model takes ${max_positions} tokens. The question has ${before} of them, and the answer ` +
        `may have ${max_new_tokens}. ${way}`,
      fits > 0 ? { max_new_tokens: fits } : {},
    );
  }
  const rows = before + num_generations * max_new_tokens;
  const layers = 2 * text_config.num_hidden_layers;
  const largest = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
  const fitting = Math.floor((largest * layers) / kvRowBytes(text_config));
  if (rows > fitting) throw outOfMemory(request, before, fitting, kvRowBytes(text_config));
}

/**
 * The error of a KV cache that is too large, with what would fit: fewer answers, or shorter ones.
 * @param before rows of the prompt and of forced tokens.
 * @param fitting rows that the adapter has room for.
 * @param rowBytes bytes of a row.
 */
export function outOfMemory(
  { num_generations = 1, max_new_tokens }: RequestSize,
  before: number,
  fitting: number,
  rowBytes: number,
  cause?: unknown,
): GenerationError {
  const G = num_generations;
  const room = Math.max(0, fitting - before);
  const suggestions: GenerationSuggestions = {};
  const fewer = Math.floor(room / max_new_tokens);
  const shorter = Math.floor(room / G);
  if (fewer > 0 && fewer < G) suggestions.num_generations = fewer;
  if (shorter > 0) suggestions.max_new_tokens = shorter;
  const ways = [
    ...(suggestions.num_generations ? [answers(fewer)] : []),
    ...(suggestions.max_new_tokens ? [`${answers(G)} of ${count(shorter)} tokens`] : []),
  ];
  const singular = ways.length > 0 && (suggestions.num_generations ?? G) === 1;
  const need = (before + G * max_new_tokens) * rowBytes;
  return new GenerationError(
    'out-of-memory',
    `Not enough GPU memory for ${answers(G)}.`,
    `${answers(G)} of ${count(max_new_tokens)} tokens ${G === 1 ? 'needs' : 'need'} ${size(need)} and this adapter ` +
      `allows ${size(fitting * rowBytes)}. ` +
      (ways.length > 0
        ? `${ways[0]} ${singular ? 'fits' : 'fit'}${ways[1] ? `, or ${ways[1]}` : ''}.`
        : 'Ask a shorter question, or use a smaller model.'),
    suggestions,
    { cause },
  );
}

function bad(message: string): GenerationError {
  return new GenerationError('bad-request', 'This cannot be asked.', message);
}

function answers(n: number): string {
  return `${n} answer${n === 1 ? '' : 's'}`;
}

function count(n: number): string {
  return n.toLocaleString('en-US');
}

function size(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.max(1, Math.round(bytes / 1e6))} MB`;
}
