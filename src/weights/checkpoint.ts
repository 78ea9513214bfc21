import { formatBytes } from '../gpu/format-bytes';
import type { ByteSource } from './byte-source';
import { CheckpointError } from './errors';
import type { FileStore } from './file-store';
import { readSafetensorsHeader, type SafetensorsDtype } from './safetensors';
import { scanJson } from './scan-json';
import { sniffFile } from './sniff-file';

const SINGLE_FILE = 'model.safetensors';
const INDEX_FILE = 'model.safetensors.index.json';

/** The largest JSON file of a checkpoint is tokenizer.json: Qwen2.5's has 7 MB, 450,000 values, 6 levels. */
const MAX_JSON_BYTES = 64 * 2 ** 20;
const JSON_LIMITS = { depth: 32, values: 8_000_000 };

/** Where a tensor of a checkpoint is stored. */
export interface StoredTensor {
  /** Type in the file; loading takes F32, F16 and BF16. */
  dtype: SafetensorsDtype;
  shape: readonly number[];
  source: ByteSource;
  /** Bytes `[start, end)` of the source. */
  start: number;
  end: number;
}

/** An opened checkpoint folder: everything but the weights' values has been read. */
export interface Checkpoint {
  /** The folder's name, for messages. */
  readonly name: string;
  readonly store: FileStore;
  /** `config.json`, parsed but not checked (see `parseConfig`). */
  readonly config: unknown;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** The weight files, in order. */
  readonly files: readonly string[];
  /** Bytes of all tensors as stored. */
  readonly bytes: number;
}

/** Options of `openCheckpoint`. */
export interface OpenOptions {
  /** A weight file or an index file to take instead of the folder's own. */
  weights?: string;
}

/**
 * Opens a checkpoint folder: config.json, and the headers of `model.safetensors`, of the shards named by
 * `model.safetensors.index.json`, or of the folder's only safetensors file.
 * @throws CheckpointError naming what is missing or damaged.
 */
export async function openCheckpoint(store: FileStore, options: OpenOptions = {}): Promise<Checkpoint> {
  const config = await readJson(store, 'config.json');
  if (config === undefined) {
    throw new CheckpointError(
      `There is no config.json in ${store.name}. Choose the whole checkpoint folder.`,
    );
  }
  const tensors = new Map<string, StoredTensor>();
  const { files, weightMap } = await findWeights(store, options.weights);
  const sources = await Promise.all(files.map((file) => store.open(file)));
  const missing = files.filter((_, i) => !sources[i]);
  if (missing.length > 0) {
    throw new CheckpointError(
      weightMap
        ? `${store.name} lacks ${listed(missing)}, which the index names. Get the missing ${missing.length > 1 ? 'parts' : 'part'}.`
        : `There is no ${missing[0]} in ${store.name}.`,
    );
  }
  for (const [i, file] of files.entries()) {
    const source = sources[i]!;
    for (const [name, entry] of (await readSafetensorsHeader(source)).tensors) {
      const other = tensors.get(name);
      if (other) throw new CheckpointError(`The tensor ${name} is in both ${other.source.name} and ${file}.`);
      const assigned = weightMap?.get(name);
      if (weightMap && assigned !== file) {
        throw new CheckpointError(
          `The tensor ${name} is in ${file}, but the index ${assigned ? `says ${assigned}` : 'does not list it'}.`,
        );
      }
      tensors.set(name, { ...entry, source });
    }
  }
  for (const [name, file] of weightMap ?? []) {
    if (!tensors.has(name))
      throw new CheckpointError(`The index says that the tensor ${name} is in ${file}, and it is not there.`);
  }
  let bytes = 0;
  for (const tensor of tensors.values()) bytes += tensor.end - tensor.start;
  return { name: store.name, store, config, tensors, files, bytes };
}

/** The names in a row, of many only the first ones. */
function listed(names: readonly string[]): string {
  if (names.length > 4) return `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;
  return names.length > 1 ? `${names.slice(0, -1).join(', ')} and ${names.at(-1)}` : names[0]!;
}

/** Parses a JSON file of a store; undefined where it is missing. Throws CheckpointError where it is not JSON. */
export async function readJson(store: FileStore, name: string): Promise<unknown> {
  const source = await store.open(name);
  if (!source) return undefined;
  if (source.size > MAX_JSON_BYTES)
    throw new CheckpointError(
      `${name} has ${formatBytes(source.size)}; a file of that name has no more than ${formatBytes(MAX_JSON_BYTES)}.`,
    );
  const bytes = await source.read(0, source.size);
  const { problem } = scanJson(bytes, JSON_LIMITS);
  if (problem) throw new CheckpointError(`${name} cannot be used: ${problem}.`);
  const text = new TextDecoder().decode(bytes);
  try {
    return JSON.parse(text);
  } catch (cause) {
    const other = sniffFile(new TextEncoder().encode(text.slice(0, 256)));
    if (other && other !== 'a text file') throw new CheckpointError(`${name} is not JSON, but ${other}.`);
    throw new CheckpointError(
      `${name} is not valid JSON: ${cause instanceof Error ? cause.message : String(cause)}`,
    );
  }
}

async function findWeights(
  store: FileStore,
  named: string | undefined,
): Promise<{ files: string[]; weightMap?: Map<string, string> }> {
  if (named !== undefined) {
    return named.endsWith('.index.json') ? readIndex(store, named) : { files: [named] };
  }
  if (await store.open(SINGLE_FILE)) return { files: [SINGLE_FILE] };
  if (await store.open(INDEX_FILE)) return readIndex(store, INDEX_FILE);
  const files = ((await store.list?.()) ?? []).filter((name) => name.endsWith('.safetensors'));
  if (files.length === 1) return { files };
  throw new CheckpointError(
    `There is neither ${SINGLE_FILE} nor ${INDEX_FILE} in ${store.name}. Choose the whole checkpoint folder.`,
  );
}

async function readIndex(
  store: FileStore,
  name: string,
): Promise<{ files: string[]; weightMap: Map<string, string> }> {
  const json = await readJson(store, name);
  if (json === undefined) throw new CheckpointError(`There is no ${name} in ${store.name}.`);
  const map = (json as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== 'object' || map === null) throw new CheckpointError(`${name} has no weight_map.`);
  const weightMap = new Map<string, string>();
  for (const [tensor, file] of Object.entries(map)) {
    if (
      typeof file !== 'string' ||
      file.includes('/') ||
      file.includes('\\') ||
      !file.endsWith('.safetensors')
    ) {
      throw new CheckpointError(`${name}: the file of the tensor ${tensor} is ${JSON.stringify(file)}.`);
    }
    weightMap.set(tensor, file);
  }
  if (!weightMap.size) throw new CheckpointError(`${name} lists no tensors.`);
  return { files: [...new Set(weightMap.values())].sort(), weightMap };
}
