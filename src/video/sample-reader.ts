import { readBytes } from './read-bytes';
import type { Samples } from './video-file';

/** Bytes that are read from the file at once; neighbouring samples come out of the same read. */
const WINDOW_BYTES = 2 ** 20;

/** Reads the bytes of samples, in decoding order for the most part. */
export interface SampleReader {
  /**
   * Bytes of one sample, valid until the next call.
   * @param end one past the last sample that will be read in this run: nothing behind it need be read.
   * @throws VideoError `unreadable` where the file has changed since.
   */
  read(sample: number, end: number): Promise<Uint8Array>;
}

/** Reads samples whose positions are byte offsets, in windows of a megabyte that never pass the run's last sample. */
export class ByteRangeReader implements SampleReader {
  private window: Uint8Array = new Uint8Array(0);
  private start = 0;

  constructor(
    private readonly file: Blob,
    private readonly samples: Pick<Samples, 'positions' | 'sizes'>,
  ) {}

  async read(sample: number, end: number): Promise<Uint8Array> {
    const { positions, sizes } = this.samples;
    const offset = positions[sample]!;
    const stop = offset + sizes[sample]!;
    if (offset < this.start || stop > this.start + this.window.length) {
      let limit = stop;
      for (let i = sample + 1; i < end; i++) limit = Math.max(limit, positions[i]! + sizes[i]!);
      this.window = await readBytes(
        this.file,
        offset,
        Math.max(stop, Math.min(limit, offset + WINDOW_BYTES)),
      );
      this.start = offset;
    }
    return this.window.subarray(offset - this.start, stop - this.start);
  }
}
