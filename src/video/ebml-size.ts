import { readBytes } from './read-bytes';

const EBML = 0x1a45dfa3;
const SEGMENT = 0x18538067;

/**
 * How long a WebM or Matroska file says it is: the end of its Segment, in bytes. 0 where it does not say (live
 * recordings) or is no such file.
 */
export async function readDeclaredSize(file: Blob): Promise<number> {
  const header = await readElement(file, 0);
  if (header?.id !== EBML || header.size === undefined) return 0;
  const segment = await readElement(file, header.body + header.size);
  if (segment?.id !== SEGMENT || segment.size === undefined) return 0;
  return segment.body + segment.size;
}

/** An element's id, its size (undefined: not known) and where its contents begin (RFC 8794, 4 to 6). */
async function readElement(
  file: Blob,
  start: number,
): Promise<{ id: number; size: number | undefined; body: number } | undefined> {
  const bytes = await readBytes(file, start, start + 12);
  const idLength = Math.clz32(bytes[0] ?? 0) - 23;
  const sizeLength = Math.clz32(bytes[idLength] ?? 0) - 23;
  if (idLength > 4 || sizeLength > 8 || bytes.length < idLength + sizeLength) return undefined;
  const number = (from: number, length: number, first: number) =>
    bytes.subarray(from + 1, from + length).reduce((value, byte) => value * 256 + byte, first);
  const marker = 2 ** (8 - sizeLength);
  const size = number(idLength, sizeLength, bytes[idLength]! - marker);
  const unknown = size === 2 ** (7 * sizeLength) - 1;
  return {
    id: number(0, idLength, bytes[0]!),
    size: unknown || !Number.isSafeInteger(size) ? undefined : size,
    body: start + idLength + sizeLength,
  };
}
