import type { WindowReader } from './read-bytes';

/** A top-level box of an MP4 or MOV file. Offsets are bytes in the file. */
export interface TopLevelBox {
  /** Four characters, e.g. 'moov'. */
  type: string;
  start: number;
  /** Bytes of the header: 8, or 16 where the size takes 64 bits. */
  headerSize: number;
  /** Bytes that the header declares, header included. May reach beyond the end of the file. */
  size: number;
  /** True where the whole box is inside the file. */
  complete: boolean;
}

/**
 * Walks the top-level boxes of a file. Reads their headers and nothing else, however large the file is.
 * Stops at the first box that cannot be one: of an impossible size or with a type that is not text.
 * @throws VideoError `unreadable`.
 */
export async function* walkBoxes(reader: WindowReader): AsyncGenerator<TopLevelBox> {
  const { size } = reader.file;
  let start = 0;
  while (start + 8 <= size) {
    const header = new DataView((await reader.read(start, start + 16)).buffer);
    const box = readBoxHeader(header, start, size);
    if (!box) return;
    yield box;
    start += box.size;
  }
}

function readBoxHeader(header: DataView, start: number, fileSize: number): TopLevelBox | undefined {
  const type = String.fromCharCode(...[4, 5, 6, 7].map((i) => header.getUint8(i)));
  if (!/^[\x20-\x7e\xa9]{4}$/.test(type)) return undefined;
  let size = header.getUint32(0);
  let headerSize = 8;
  if (size === 1) {
    if (header.byteLength < 16) return undefined;
    size = Number(header.getBigUint64(8));
    headerSize = 16;
  } else if (size === 0) {
    size = fileSize - start; // Size 0: up to the end of the file.
  }
  if (size < headerSize || !Number.isSafeInteger(size)) return undefined;
  return { type, start, headerSize, size, complete: start + size <= fileSize };
}
