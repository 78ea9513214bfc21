import { VideoError } from './errors';

/**
 * Reads the bytes [start, end) of a file the user chose.
 * @throws VideoError `unreadable` where the file was moved, changed or removed since.
 */
export async function readBytes(file: Blob, start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await file.slice(start, end).arrayBuffer());
  } catch (cause) {
    throw new VideoError(
      'unreadable',
      `${(file as { name?: string }).name || 'The file'} can no longer be read: it was moved, changed or removed since you chose it.`,
      'Choose the video again.',
      { cause },
    );
  }
}

/** Bytes that `WindowReader` reads at once. */
const WINDOW_BYTES = 2 ** 16;

/** Reads small stretches of a file, neighbouring ones out of the same read. */
export class WindowReader {
  private window = new Uint8Array(0);
  private start = 0;

  constructor(readonly file: Blob) {}

  /** A copy of the bytes [start, end), fewer where the file ends before. @throws VideoError `unreadable`. */
  async read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    if (end - start > WINDOW_BYTES) return readBytes(this.file, start, end);
    const stop = Math.min(end, this.file.size);
    if (start >= stop) return new Uint8Array(0);
    if (start < this.start || stop > this.start + this.window.length) {
      this.window = await readBytes(this.file, start, Math.min(start + WINDOW_BYTES, this.file.size));
      this.start = start;
    }
    return this.window.slice(start - this.start, stop - this.start);
  }
}
