import type { Gpu } from '../gpu/device';
import { formatBytes } from '../gpu/format-bytes';
import { type KvShape, kvRowBytes } from '../model/kv-cache';
import type { TinyLlava } from '../model/tiny-llava';
import { GenerationError, type GenerationSuggestions } from './errors';

/** The sizes of a request. */
export interface RequestSize {
  num_generations?: number;
  max_new_tokens: number;
  forced?: readonly number[];
}

/**
 * Rows that a KV cache may have in all: what one buffer may hold, and what the memory budget leaves.
 * @param heldBytes bytes of a cache that counts as free, as it would be replaced or grown.
 */
export function fittingRows(gpu: Gpu, shape: KvShape, heldBytes: number): number {
  const { maxBufferSize } = gpu.device.limits;
  const layers = shape.num_hidden_layers;
  const rowBytes = kvRowBytes(shape);
  const inBuffers = (maxBufferSize * 2 * layers) / rowBytes;
  // A cache that grows has one layer twice for a moment.
  const inBudget = (gpu.memory.budget - gpu.memory.bytes + heldBytes) / (rowBytes * (1 + 1 / layers));
  return Math.max(0, Math.floor(Math.min(inBuffers, inBudget)));
}

/**
 * Checks that a request can be served, before anything is computed.
 * @param before rows that come before the new tokens: the prompt's, visual tokens included, and forced ones.
 * @param fitting rows that there is room for.
 * @throws GenerationError `bad-request`, `too-long` or `out-of-memory`, with settings that would work.
 */
export function checkRequest(request: RequestSize, before: number, model: TinyLlava, fitting: number): void {
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
  if (before + num_generations * max_new_tokens > fitting)
    throw outOfMemory(request, before, fitting, kvRowBytes(model.language.kvShape));
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
    `${answers(G)} of ${count(max_new_tokens)} tokens ${G === 1 ? 'needs' : 'need'} ${formatBytes(need)} and this adapter ` +
      `allows ${formatBytes(fitting * rowBytes)}. ` +
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
