const END = 0x06054b50;
const ENTRY = 0x02014b50;
const STORED = 0;
const DEFLATED = 8;

/**
 * The files of a ZIP archive, stored or deflated, by the names of their last path segment; folders are left out.
 * The layout is that of PKWARE's APPNOTE 6.3, sections 4.3.7, 4.3.12 and 4.3.16.
 * @throws Error where `archive` is no ZIP archive, or one in a form that is not read (encrypted, ZIP64, other methods).
 */
export async function unzip(archive: Blob): Promise<File[]> {
  const bytes = async (start: number, length: number) =>
    new DataView(await archive.slice(start, start + length).arrayBuffer());
  // The end record is the last 22 bytes, but for a comment of up to 64 KB behind it.
  const tailStart = Math.max(0, archive.size - 22 - 0xffff);
  const tail = await bytes(tailStart, archive.size - tailStart);
  let end = tail.byteLength - 22;
  while (end >= 0 && tail.getUint32(end, true) !== END) end -= 1;
  if (end < 0) throw new Error('This file is no ZIP archive, or it is cut off.');
  const start = tail.getUint32(end + 16, true);
  const directory = await bytes(start, tail.getUint32(end + 12, true));
  const files: File[] = [];
  for (let at = 0; at + 46 <= directory.byteLength && directory.getUint32(at, true) === ENTRY; ) {
    const [flags, method] = [directory.getUint16(at + 8, true), directory.getUint16(at + 10, true)];
    const length = directory.getUint32(at + 20, true);
    const nameLength = directory.getUint16(at + 28, true);
    const name = new TextDecoder().decode(new Uint8Array(directory.buffer, at + 46, nameLength));
    const offset = directory.getUint32(at + 42, true);
    at += 46 + nameLength + directory.getUint16(at + 30, true) + directory.getUint16(at + 32, true);
    if (name.endsWith('/')) continue;
    if (flags & 1 || (method !== STORED && method !== DEFLATED) || Math.max(length, offset) === 0xffffffff)
      throw new Error(`${name} is packed in a way that this page does not read. Unpack the archive first.`);
    const local = await bytes(offset, 30);
    const from = offset + 30 + local.getUint16(26, true) + local.getUint16(28, true);
    const packed = archive.slice(from, from + length);
    const content =
      method === STORED
        ? packed
        : await new Response(packed.stream().pipeThrough(new DecompressionStream('deflate-raw'))).blob();
    files.push(new File([content], name.split('/').at(-1)!));
  }
  return files;
}
