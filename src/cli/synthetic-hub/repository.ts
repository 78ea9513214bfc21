import { createHash } from 'node:crypto';
import { sizeOf } from '../../gpu/tensor';
import { parseConfig } from '../../model/config';
import { expectedTensors } from '../../model/tensor-names';
import { syntheticValues } from './synthetic-values';

/** A file of a repository: its bytes are there, or made when they are asked for. */
export interface HubFile {
  size: number;
  /** Quoted, as in the header. */
  etag: string;
  /** Bytes `[start, end)`. */
  read(start: number, end: number): Uint8Array;
}

/** A repository's files by name. */
export type HubRepository = ReadonlyMap<string, HubFile>;

/** How a synthetic checkpoint is cut and filled. */
export interface SyntheticOptions {
  seed?: number;
  /** Bytes of a shard's tensors at most; the hub's own limit is 5 GB. */
  shardBytes?: number;
}

interface Tensor {
  name: string;
  shape: readonly number[];
  index: number;
  bytes: number;
}

/** A file that is in memory. */
export function storedFile(content: string | Uint8Array): HubFile {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  const etag = `"${createHash('sha256').update(bytes).digest('hex')}"`;
  return { size: bytes.byteLength, etag, read: (start, end) => bytes.subarray(start, end) };
}

/**
 * A repository with the published checkpoints' layout: config.json, the shards of safetensors with all tensors of the
 * classes (those that the output does not depend on too), their index, and the given other files (tokenizer). Weights
 * are BF16, drawn from the seed when they are asked for, never stored; norms' weights are 1.
 * @param config as in config.json.
 * @throws CheckpointError for a config of other classes.
 */
export function syntheticRepository(
  config: object,
  others: ReadonlyMap<string, string | Uint8Array>,
  { seed = 1, shardBytes = 5e9 }: SyntheticOptions = {},
): HubRepository {
  const { used, unused } = expectedTensors(parseConfig(config));
  const shards: Tensor[][] = [[]];
  let room = shardBytes;
  for (const [index, [name, shape]] of [...used, ...unused].entries()) {
    if (name === 'language_model.lm_head.weight' && !used.has(name)) continue;
    const bytes = 2 * sizeOf(shape);
    if (bytes > room && shards.at(-1)!.length > 0) {
      shards.push([]);
      room = shardBytes;
    }
    room -= bytes;
    shards.at(-1)!.push({ name, shape, index, bytes });
  }
  const files = new Map<string, HubFile>([['config.json', storedFile(JSON.stringify(config, null, 2))]]);
  for (const [name, content] of others) files.set(name, storedFile(content));
  const weight_map: Record<string, string> = {};
  let total_size = 0;
  const number = (i: number) => String(i).padStart(5, '0');
  for (const [i, tensors] of shards.entries()) {
    const file = `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    files.set(file, shardFile(tensors, seed));
    for (const { name, bytes } of tensors) {
      weight_map[name] = file;
      total_size += bytes;
    }
  }
  const index = { metadata: { total_size }, weight_map };
  files.set('model.safetensors.index.json', storedFile(JSON.stringify(index, null, 2)));
  return files;
}

function shardFile(tensors: readonly Tensor[], seed: number): HubFile {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let at = 0;
  for (const { name, shape, bytes } of tensors) {
    header[name] = { dtype: 'BF16', shape, data_offsets: [at, at + bytes] };
    at += bytes;
  }
  const text = JSON.stringify(header);
  // Padded with spaces, so that the tensors begin at a multiple of 8.
  const json = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  const head = new Uint8Array(8 + json.length);
  new DataView(head.buffer).setBigUint64(0, BigInt(json.length), true);
  head.set(json, 8);
  const size = head.length + at;
  return {
    size,
    etag: `"${createHash('sha256').update(head).update(String(seed)).digest('hex')}"`,
    read(start, end) {
      const out = new Uint8Array(end - start);
      if (start < head.length) out.set(head.subarray(start, end));
      let from = head.length;
      for (const tensor of tensors) {
        const first = Math.max(start, from);
        const last = Math.min(end, from + tensor.bytes);
        if (first < last) {
          const values = syntheticValues(seed, tensor.index, tensor.name, first - from, last - from);
          out.set(values, first - start);
        }
        from += tensor.bytes;
      }
      return out;
    },
  };
}
