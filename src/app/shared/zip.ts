/** A file of an archive; `name` may have folders before it: `clips/a.mp4`. */
export interface ArchivedFile {
  name: string;
  blob: Blob;
}

/** Sizes and offsets are 32 bits wide in an archive without the extension of 64. */
const LARGEST = 0xffff_ffff;
const MOST_FILES = 0xffff;

/**
 * A ZIP archive of files as they are, without compression (PKWARE's APPNOTE 6.3.10, sections 4.3 to 4.5): what a page
 * can hand over with its folders, which a download has not.
 * @throws Error where they are too many or too large.
 */
export async function zip(files: readonly ArchivedFile[]): Promise<Blob> {
  const parts: BlobPart[] = [];
  const directory: BlobPart[] = [];
  let offset = 0;
  let directorySize = 0;
  for (const { name, blob } of files) {
    const bytes = new TextEncoder().encode(name);
    // Version 2.0, names in UTF-8, stored, 1 January 1980.
    const about = [20, 2, 0x0800, 2, 0, 2, 0, 2, 0x0021, 2, await crc32(blob), 4, blob.size, 4, blob.size, 4];
    const sizes = [bytes.length, 2, 0, 2];
    const local = fields(0x0403_4b50, 4, ...about, ...sizes);
    directory.push(
      fields(0x0201_4b50, 4, 20, 2, ...about, ...sizes, 0, 2, 0, 2, 0, 2, 0, 4, offset, 4),
      bytes,
    );
    parts.push(local, bytes, blob);
    offset += local.length + bytes.length + blob.size;
    directorySize += 46 + bytes.length;
  }
  if (files.length > MOST_FILES || offset + directorySize > LARGEST)
    throw new Error('These files are larger together than an archive may be (4 GB).');
  const { length } = files;
  const end = fields(0x0605_4b50, 4, 0, 2, 0, 2, length, 2, length, 2, directorySize, 4, offset, 4, 0, 2);
  return new Blob([...parts, ...directory, end], { type: 'application/zip' });
}

/** Little-endian numbers, each followed by its width in bytes. */
function fields(...given: number[]): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  for (let i = 0; i < given.length; i += 2)
    for (let byte = 0; byte < given[i + 1]!; byte++) bytes.push((given[i]! >>> (8 * byte)) & 0xff);
  return new Uint8Array(bytes);
}

const TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  let rest = value;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb8_8320 : rest >>> 1;
  return rest;
});

/** CRC-32 as in ISO 3309. */
async function crc32(blob: Blob): Promise<number> {
  let rest = 0xffff_ffff;
  const reader = blob.stream().getReader();
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read())
    for (const byte of chunk.value) rest = (rest >>> 8) ^ TABLE[(rest ^ byte) & 0xff]!;
  return (rest ^ 0xffff_ffff) >>> 0;
}
