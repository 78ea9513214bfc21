import { type GpuTensor, readF32, uploadTensor } from '../../gpu/tensor';
import { VideoError } from '../../video/errors';
import { readVideo } from '../video-reader';
import type { QuestionModel } from './question-source';

/** Visual tokens that are kept, bytes: the toy's of 32,000 clips, the published model's of 250. */
const CACHE_BYTES = 2 ** 30;

/** A question that was passed over, as its video cannot be read. */
export interface PassedOver {
  video_filename: string;
  /** What is wrong with it, a sentence. */
  message: string;
}

const SILENT = {
  onScan() {},
  onInfo() {},
  onFrame: (_index: number, _time: number, thumbnail: ImageBitmap) => thumbnail.close(),
};

/** The visual tokens of video files. Each file is decoded and encoded once, as long as its tokens are kept. */
export class VideoTokens {
  private readonly cache = new Map<string, Float32Array<ArrayBuffer>>();
  private bytes = 0;
  /** Videos that turned out not to be readable. */
  private readonly unreadable = new Map<string, VideoError>();

  /** @param find the file of a `video_filename`. */
  constructor(
    private readonly use: QuestionModel,
    private readonly find: (video_filename: string) => Promise<Blob | undefined>,
  ) {}

  /**
   * The first of `items`, from place `from` on and around, whose video can be read, with its visual tokens
   * `[num_queries, H]` f32, whose owner destroys the buffer, and what was passed over on the way.
   * @param skip so many that can be read are left out as well.
   * @throws VideoError where none can be read, Error where all are left out, the signal's reason when aborted.
   */
  async firstReadable<T extends { video_filename: string }>(
    items: readonly T[],
    from: number,
    signal: AbortSignal,
    skip = 0,
  ): Promise<{ item: T; visual: GpuTensor; passed: PassedOver[] }> {
    const passed: PassedOver[] = [];
    let left = skip;
    for (let i = 0; i < items.length; i++) {
      const item = items[(from + i) % items.length]!;
      const read = await this.read(item.video_filename, signal);
      if ('message' in read) passed.push(read);
      else if (left > 0) {
        left -= 1;
        read.visual.buffer.destroy();
      } else return { item, visual: read.visual, passed };
    }
    const [first] = this.unreadable.values();
    if (first && left === skip) throw first;
    throw new Error('No other question is there to take the place of the one that was left out.');
  }

  /** A video's tokens `[num_queries, H]` f32, whose owner destroys the buffer; or what is wrong with it. It is tried once. */
  async read(video_filename: string, signal: AbortSignal): Promise<{ visual: GpuTensor } | PassedOver> {
    const known = this.unreadable.get(video_filename);
    if (known) return { video_filename, message: known.message };
    try {
      return { visual: await this.encode(video_filename, signal) };
    } catch (cause) {
      if (!(cause instanceof VideoError)) throw cause;
      this.unreadable.set(video_filename, cause);
      return { video_filename, message: cause.message };
    }
  }

  /** Forgets what is kept. */
  clear(): void {
    this.cache.clear();
    this.bytes = 0;
  }

  private async encode(name: string, signal: AbortSignal): Promise<GpuTensor> {
    const { gpu, model, preprocessor } = this.use;
    const { num_queries } = model.config.connector;
    const known = this.cache.get(name);
    if (known) {
      // The latest is the last to go.
      this.cache.delete(name);
      this.cache.set(name, known);
      return uploadTensor(gpu, known, [num_queries, known.length / num_queries], 'f32', 'visual tokens');
    }
    const file = await this.find(name);
    if (!file) throw new VideoError('unreadable', `${name} is not among the videos.`);
    const named = Object.assign(file.slice(0, file.size, file.type), { name });
    const { visual } = await readVideo(gpu, model, preprocessor, named, 'uniform', SILENT, signal);
    try {
      this.keep(name, await readF32(gpu, visual));
      return visual;
    } catch (cause) {
      visual.buffer.destroy();
      throw cause;
    }
  }

  private keep(name: string, values: Float32Array<ArrayBuffer>): void {
    this.cache.set(name, values);
    this.bytes += values.byteLength;
    for (const [oldest, { byteLength }] of this.cache) {
      if (this.bytes <= CACHE_BYTES || oldest === name) break;
      this.cache.delete(oldest);
      this.bytes -= byteLength;
    }
  }
}
