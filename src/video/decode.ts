import { resolveColour, toVideoColorSpace } from './colour';
import { type DecodeRun, planRuns } from './decode-plan';
import { DamageError, VideoError } from './errors';
import type { SampleReader } from './sample-reader';
import { unsupportedCodec } from './unsupported-codec';
import type { VideoFile } from './video-file';

/** Chunks that may wait in the decoder, and wanted frames that may wait for their reader. */
const MAX_QUEUED = 16;
const MAX_HELD = 2;

/** Bytes of decoded frames that may be on their way; frames of 8K pictures take 50 MB each. */
const MAX_FRAME_BYTES = 128 * 2 ** 20;

/** What `decodeFrames` tells and asks. */
export interface DecodeOptions {
  /**
   * Called once for each position in `indices`, in presentation order; awaited before the next call. The frame is
   * closed afterwards: copy what is needed.
   */
  onFrame(position: number, frame: VideoFrame): void | Promise<void>;
  signal?: AbortSignal;
}

/**
 * The decoder configuration of a video. Streams without colour tags are given BT.601, and no primaries but BT.709's
 * are passed on; see `toVideoColorSpace`.
 */
export function decoderConfig(video: VideoFile): VideoDecoderConfig {
  const config: VideoDecoderConfig & { rotation?: number } = {
    codec: video.codec,
    codedWidth: video.codedWidth,
    codedHeight: video.codedHeight,
    colorSpace: toVideoColorSpace(resolveColour(video.colour)),
  };
  if (video.description) config.description = video.description;
  // Unknown members are ignored, so browsers without rotation leave it to `readPixels` as the others do.
  if (video.rotation) config.rotation = video.rotation;
  return config;
}

/**
 * Checks that this browser can decode the video.
 * @throws VideoError `no-webcodecs`, `unsupported-codec`, naming the codec, or `too-large`, naming the size.
 */
export async function assertDecodable(video: VideoFile): Promise<void> {
  if (typeof VideoDecoder === 'undefined') {
    throw new VideoError(
      'no-webcodecs',
      'This browser has no WebCodecs, so it cannot decode videos for the model.',
      'Use a recent desktop Chrome, Edge, Firefox or Safari, over https or localhost.',
    );
  }
  const config = decoderConfig(video);
  if (await isSupported(config)) return;
  const { codedWidth, codedHeight, ...anySize } = config;
  if (!(await isSupported(anySize))) throw unsupportedCodec(video.name, video.codec);
  throw new VideoError(
    'too-large',
    `${video.name} has pictures of ${codedWidth} x ${codedHeight} pixels, and your browser's decoder does not take that size.`,
    'Scale the video down, to 1080p say, and drop it again.',
  );
}

async function isSupported(config: VideoDecoderConfig): Promise<boolean> {
  // What is malformed is refused by an exception.
  const answer = await VideoDecoder.isConfigSupported(config).catch(() => undefined);
  return answer?.supported === true;
}

/**
 * Decodes the frames at the given presentation indices (may repeat) with WebCodecs. Only the samples from each
 * needed key frame to the wanted frame are read, by byte ranges of the file. Works in a worker.
 * @throws VideoError `no-webcodecs`, `unsupported-codec`, `too-large` or `decode-failed` (a DamageError); RangeError
 * for an index beyond the last frame; the signal's reason when aborted; whatever `onFrame` throws.
 */
export async function decodeFrames(
  video: VideoFile,
  indices: readonly number[],
  { onFrame, signal }: DecodeOptions,
): Promise<void> {
  signal?.throwIfAborted();
  const runs = planRuns(video, indices);
  await assertDecodable(video);
  const session = new DecodeSession(video, onFrame, signal);
  try {
    for (const run of runs) await session.decode(run);
  } finally {
    await session.close();
  }
}

class DecodeSession {
  private readonly decoder: VideoDecoder;
  private readonly reader: SampleReader;
  private run: DecodeRun | undefined;
  /** Timestamp of the last frame that the decoder gave of the run. */
  private latest = Number.NEGATIVE_INFINITY;
  /** Timestamps of the run's wanted frames that have not come yet, with their positions. */
  private readonly awaited = new Map<number, number[]>();
  private readonly held = new Set<VideoFrame>();
  private delivery: Promise<void> = Promise.resolve();
  private failure: unknown;
  private wake: () => void = () => {};

  constructor(
    private readonly video: VideoFile,
    private readonly onFrame: DecodeOptions['onFrame'],
    private readonly signal: AbortSignal | undefined,
  ) {
    this.reader = video.openReader();
    this.decoder = new VideoDecoder({
      output: (frame) => this.receive(frame),
      error: (cause) => this.fail(this.decodeError(cause)),
    });
    this.decoder.addEventListener('dequeue', () => this.wake());
    signal?.addEventListener('abort', this.abort);
    this.decoder.configure(decoderConfig(video));
  }

  async decode(run: DecodeRun): Promise<void> {
    this.run = run;
    this.latest = Number.NEGATIVE_INFINITY;
    const { samples } = this.video;
    for (const [sample, positions] of run.wanted) this.awaited.set(samples.timestamps[sample]!, positions);
    for (let i = run.first; i < run.end; i++) {
      const data = await this.reader.read(i, run.end);
      while (!this.failure && this.isFull())
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
      this.throwFailure();
      const timestamp = samples.timestamps[i]!;
      const duration = samples.durations[i]!;
      // The first sample of a run is decoded as a key frame even where a broken file does not mark it as one.
      const type = samples.keys[i] || i === run.first ? 'key' : 'delta';
      try {
        this.decoder.decode(new EncodedVideoChunk({ type, timestamp, duration, data }));
      } catch (cause) {
        // Before it decodes, the browser looks whether a key frame is one.
        throw this.decodeError(cause);
      }
    }
    await this.decoder.flush().catch((cause) => this.fail(this.decodeError(cause)));
    await this.delivery;
    this.throwFailure();
    if (this.awaited.size) throw this.decodeError(undefined);
  }

  private isFull(): boolean {
    const { codedWidth, codedHeight } = this.video;
    const frames = Math.max(1, Math.floor(MAX_FRAME_BYTES / (codedWidth * codedHeight * 1.5)));
    const { decodeQueueSize } = this.decoder;
    return decodeQueueSize >= Math.min(MAX_QUEUED, frames) || this.held.size > Math.min(MAX_HELD, frames);
  }

  /** Ends decoding; waits for the frame that is just being delivered, whose reader may still use its buffers. */
  async close(): Promise<void> {
    this.failure ??= new DOMException('Decoding has ended.', 'AbortError');
    this.signal?.removeEventListener('abort', this.abort);
    if (this.decoder.state !== 'closed') this.decoder.close();
    await this.delivery;
    for (const frame of this.held) frame.close();
    this.held.clear();
  }

  private receive(frame: VideoFrame): void {
    this.latest = Math.max(this.latest, frame.timestamp);
    const positions = this.awaited.get(frame.timestamp);
    if (!positions || this.failure) {
      frame.close();
      return;
    }
    this.awaited.delete(frame.timestamp);
    this.held.add(frame);
    this.delivery = this.delivery.then(async () => {
      try {
        for (const position of positions) if (!this.failure) await this.onFrame(position, frame);
      } catch (cause) {
        this.fail(cause);
      } finally {
        frame.close();
        this.held.delete(frame);
        this.wake();
      }
    });
  }

  private readonly abort = () => this.fail(this.signal!.reason);

  private fail(cause: unknown): void {
    this.failure ??= cause ?? new Error('Decoding failed.');
    this.wake();
  }

  private throwFailure(): void {
    if (this.failure) throw this.failure;
  }

  /** Names the first frame of the run that did not come: what is behind it may be spoilt too. */
  private decodeError(cause: unknown): DamageError {
    const { name, samples, frames } = this.video;
    const { timestamps } = samples;
    const begin = Math.max(this.latest + 1, timestamps[this.run?.first ?? 0]!);
    const after = frames.samples.findIndex((sample) => timestamps[sample]! >= begin);
    const frame = Math.max(0, after);
    return new DamageError(
      frame,
      `${name} cannot be decoded at ${frames.times[frame]!.toFixed(1)} s: the video data there is damaged.`,
      'Play it elsewhere to check it, or convert it to H.264 again and drop it.',
      { cause },
    );
  }
}
