import { CustomSource } from 'mediabunny';
import { readDeclaredSize } from './ebml-size';
import { WindowReader } from './read-bytes';

/** Bytes behind the end of a cut-off file that read as zeros, so that the cluster that was cut can still be parsed. */
const MAX_MISSING = 2 ** 26;

/** Requests in a row, of ranges that were all among the latest, after which the demuxer is going in a circle. */
const MAX_REPEATS = 50;
const LATEST = 16;

/** The bytes of a WebM or Matroska file for mediabunny, read as they are asked for. */
export class MatroskaSource {
  /** True where the file is shorter than it says. */
  readonly cutShort: boolean;
  /**
   * True once the demuxer has met damage behind which it finds nothing: looking for the next element, it asks for the
   * same few ranges for ever (mediabunny 1.61). Nothing is cached, so that it must ask here every time.
   */
  stalled = false;
  readonly source: CustomSource;
  private readonly latest: string[] = [];
  private repeats = 0;

  private constructor(file: Blob, declaredSize: number, signal: AbortSignal | undefined) {
    const missing = Math.max(0, declaredSize - file.size);
    this.cutShort = missing > 0;
    const reader = new WindowReader(file);
    let opening = signal;
    this.opened = () => {
      opening = undefined;
    };
    this.source = new CustomSource({
      maxCacheSize: 0,
      getSize: () => file.size + Math.min(missing, MAX_MISSING),
      read: async (start, end) => {
        opening?.throwIfAborted();
        this.checkRepeats(`${start}-${end}`);
        const bytes = await reader.read(start, end);
        if (bytes.length === end - start) return bytes;
        const padded = new Uint8Array(end - start);
        padded.set(bytes);
        return padded;
      },
    });
  }

  /** @param signal ends the reading until `opened` is called. @throws VideoError `unreadable`. */
  static async create(file: Blob, signal: AbortSignal | undefined): Promise<MatroskaSource> {
    return new MatroskaSource(file, await readDeclaredSize(file), signal);
  }

  /** From now on the signal of opening does not count. */
  readonly opened: () => void;

  /** To be called before each packet that is asked for: what was asked for before it does not count as a circle. */
  begin(): void {
    this.repeats = 0;
  }

  private checkRepeats(range: string): void {
    if (this.latest.includes(range)) this.repeats++;
    else {
      this.repeats = 0;
      this.latest.push(range);
      if (this.latest.length > LATEST) this.latest.shift();
    }
    if (this.repeats < MAX_REPEATS) return;
    this.stalled = true;
    throw new Error('The demuxer finds nothing behind the damage.');
  }
}
