import { readBytes } from './read-bytes';
import type { Sample } from './video-file';

/** Bytes that are read from the file at once; neighbouring samples come out of the same read. */
const WINDOW_BYTES = 2 ** 20;

/** Reads samples of a file by byte ranges, in windows of a megabyte that never pass `limit`. */
export class SampleReader {
  private window: Uint8Array = new Uint8Array(0);
  private start = 0;

  constructor(private readonly file: Blob) {}

  /**
   * Bytes of one sample.
   * @param limit end of the last byte that the coming samples need: a window does not reach beyond it.
   */
  async read({ offset, size }: Sample, limit: number): Promise<Uint8Array> {
    if (offset < this.start || offset + size > this.start + this.window.length) {
      const end = Math.max(offset + size, Math.min(limit, offset + WINDOW_BYTES));
      this.window = await readBytes(this.file, offset, end);
      this.start = offset;
    }
    return this.window.subarray(offset - this.start, offset - this.start + size);
  }
}
