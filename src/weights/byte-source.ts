import { CheckpointError } from './errors';

/** A file of known size whose byte ranges can be read, several at a time. */
export interface ByteSource {
  /** File name, for messages. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Names the content, where the source has such a name: another content has another one. */
  readonly tag?: string;
  /** A file on this device: reading a little here and there takes no time. */
  readonly local?: boolean;
  /** Bytes `start` (inclusive) to `end` (exclusive). Throws CheckpointError where the range is not in the file. */
  read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** Throws unless `[start, end)` lies in the source. */
export function checkRange(source: { name: string; size: number }, start: number, end: number): void {
  if (
    !(Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start <= end && end <= source.size)
  ) {
    throw new CheckpointError(
      `${source.name}: bytes ${start} to ${end} were asked for, and the file has ${source.size}.`,
    );
  }
}

/** Bytes that are already in memory. `read` returns views, not copies. */
export function memorySource(name: string, bytes: Uint8Array<ArrayBuffer>): ByteSource {
  const source: ByteSource = {
    name,
    size: bytes.byteLength,
    async read(start, end) {
      checkRange(source, start, end);
      return bytes.subarray(start, end);
    },
  };
  return source;
}

/** A `Blob` or `File`; only the ranges that are read come into memory. */
export function blobSource(name: string, blob: Blob): ByteSource {
  const source: ByteSource = {
    name,
    size: blob.size,
    local: true,
    async read(start, end) {
      checkRange(source, start, end);
      const bytes = new Uint8Array(await blob.slice(start, end).arrayBuffer());
      if (bytes.byteLength !== end - start) {
        throw new CheckpointError(`${name} changed or went away while it was read. Choose the file again.`);
      }
      return bytes;
    },
  };
  return source;
}
