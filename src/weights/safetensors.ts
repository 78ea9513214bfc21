import type { ByteSource } from './byte-source';
import { CheckpointError } from './errors';
import { scanJson } from './scan-json';
import { sniffFile } from './sniff-file';

/** Bytes of an element of each type of the format (https://github.com/huggingface/safetensors, format). */
const DTYPE_BYTES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
} as const;

/** Element type of a stored tensor. */
export type SafetensorsDtype = keyof typeof DTYPE_BYTES;

/** Where a tensor lies in its file: bytes `[start, end)` counted from the beginning of the file. */
export interface TensorEntry {
  dtype: SafetensorsDtype;
  shape: number[];
  start: number;
  end: number;
}

/** A file's table of contents. */
export interface SafetensorsHeader {
  tensors: Map<string, TensorEntry>;
  /** The `__metadata__` strings. */
  metadata: Record<string, string>;
}

// The format's own limit for the header.
const MAX_HEADER_BYTES = 100_000_000;
/** An entry has three fields, its shape and its offsets; a few hundred thousand tensors are more than any model has. */
const HEADER_LIMITS = { depth: 3, values: 4_000_000 };

/**
 * Reads and checks the header of a safetensors file: nothing is trusted before it is checked, so a damaged file
 * costs no more memory than it is long.
 * @throws CheckpointError naming the file and the tensor.
 */
export async function readSafetensorsHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const { name, size } = source;
  // A header begins with its length, so its first bytes are no text.
  const head = await source.read(0, Math.min(size, 256));
  const other = head[7] ? sniffFile(head) : undefined;
  if (other) throw new CheckpointError(`${name} is not a safetensors file, but ${other}.`);
  if (size < 8) throw new CheckpointError(`${name} is not a safetensors file: it has only ${size} bytes.`);
  const length = Number(new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true));
  if (length > MAX_HEADER_BYTES || 8 + length > size) {
    throw new CheckpointError(
      `${name} is not a whole safetensors file: its header claims ${length} bytes, and the file has ${size}.`,
    );
  }
  const bytes = await source.read(8, 8 + length);
  const { problem, doubled } = scanJson(bytes, HEADER_LIMITS);
  if (problem)
    throw new CheckpointError(`${name} is not a usable safetensors file: of its header, ${problem}.`);
  if (doubled !== undefined)
    throw new CheckpointError(`${name}: the header has the tensor ${doubled} twice.`);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new CheckpointError(`${name} is not a safetensors file: its header is not JSON.`);
  }
  if (!isRecord(json)) throw new CheckpointError(`${name}: the safetensors header is not an object.`);
  const metadata: Record<string, string> = {};
  const tensors = new Map<string, TensorEntry>();
  for (const [tensor, value] of Object.entries(json)) {
    if (tensor === '__metadata__') {
      if (!isRecord(value) || Object.values(value).some((item) => typeof item !== 'string'))
        throw new CheckpointError(`${name}: __metadata__ is not an object of strings.`);
      Object.assign(metadata, value);
    } else tensors.set(tensor, parseEntry(name, tensor, value, 8 + length, size));
  }
  checkPlaces(name, tensors, 8 + length, size);
  return { tensors, metadata };
}

function parseEntry(
  file: string,
  tensor: string,
  value: unknown,
  dataStart: number,
  size: number,
): TensorEntry {
  const wrong = (what: string) => new CheckpointError(`${file}: the tensor ${tensor} ${what}.`);
  if (!isRecord(value)) throw wrong('has no description in the header');
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPE_BYTES, dtype)) {
    throw wrong(`has the unknown type ${JSON.stringify(dtype)}`);
  }
  if (!isNaturals(shape)) throw wrong(`has a shape that is not a list of sizes: ${JSON.stringify(shape)}`);
  if (!isNaturals(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw wrong(`has data_offsets that are not a range: ${JSON.stringify(offsets)}`);
  }
  const start = dataStart + offsets[0]!;
  const end = dataStart + offsets[1]!;
  if (end > size) {
    throw wrong(`should end at byte ${end}, but the file has only ${size}: it is cut off, load it again`);
  }
  const bytes = shape.reduce((product, dim) => product * dim, DTYPE_BYTES[dtype as SafetensorsDtype]);
  if (bytes !== end - start) {
    throw wrong(
      `has shape [${shape.join(', ')}] of ${dtype}, which takes ${bytes} bytes, not ${end - start}`,
    );
  }
  return { dtype: dtype as SafetensorsDtype, shape, start, end };
}

/** The format has no overlaps, no gaps and nothing behind the last tensor: all of these mean damage. */
function checkPlaces(
  file: string,
  tensors: ReadonlyMap<string, TensorEntry>,
  dataStart: number,
  size: number,
): void {
  let end = dataStart;
  let before = '';
  for (const [name, entry] of [...tensors].sort((a, b) => a[1].start - b[1].start || a[1].end - b[1].end)) {
    if (entry.start < end)
      throw new CheckpointError(`${file}: the tensors ${before} and ${name} overlap. The file is damaged.`);
    if (entry.start > end)
      throw new CheckpointError(
        `${file}: ${entry.start - end} bytes before the tensor ${name} belong to no tensor. The file is damaged.`,
      );
    end = entry.end;
    before = name;
  }
  if (end < size)
    throw new CheckpointError(
      `${file}: ${size - end} bytes at its end belong to no tensor. The file is damaged.`,
    );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNaturals(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}
