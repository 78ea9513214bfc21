import type { Gpu } from '../gpu/device';
import { createTensor, type GpuTensor } from '../gpu/tensor';
import type { TinyLlava } from '../model/tiny-llava';
import { openVideo } from '../video/container';
import { type Damage, decodeSampled } from '../video/decode-sampled';
import { MAX_1FPS_FRAMES, oneFpsCount, sampleFrameIndices } from '../video/frame-indices';
import { readPixels } from '../video/frame-pixels';
import type { Preprocessor } from '../video/preprocessor';
import { makeThumbnail } from '../video/thumbnail';
import type { Truncation, VideoFile } from '../video/video-file';
import type { FrameSampling, VideoInfo } from './protocol';

/** Scanning a file is spoken of once it takes longer than this, and at this interval. */
const SCAN_PATIENCE_MS = 300;
const SCAN_INTERVAL_MS = 100;

/** Bytes of a frame (4K: 12 MB, 8K: 50 MB) from which on the GPU is waited for before the next one. */
const LARGE_FRAME_BYTES = 16 * 2 ** 20;

/** What `readVideo` tells while it works. */
export interface VideoReaderEvents {
  /** How many bytes of a file without a table of frames are scanned; only where that takes a while. */
  onScan(bytesDone: number, total: number): void;
  /** Called again where other frames are taken because some cannot be decoded. */
  onInfo(info: VideoInfo): void;
  onFrame(index: number, time: number, thumbnail: ImageBitmap): void;
}

/** A video as the model sees it. */
export interface EncodedVideo {
  /** Visual tokens `[num_queries, H]` f32; the caller destroys the buffer. */
  visual: GpuTensor;
  readMs: number;
  encodeMs: number;
}

/**
 * A file's way to visual tokens: tables, sampled frames, decoding, preprocessing, vision tower, resampler. Frames are
 * as many as the model's config says, or one a second of the video and 64 at most, both evenly spread.
 * @throws VideoError; GpuMemoryError where frames or activations find no room; the signal's reason when aborted.
 */
export async function readVideo(
  gpu: Gpu,
  model: TinyLlava,
  preprocessor: Preprocessor,
  file: Blob & { name?: string },
  sampling: FrameSampling,
  events: VideoReaderEvents,
  signal: AbortSignal,
): Promise<EncodedVideo> {
  const start = performance.now();
  let told = start + SCAN_PATIENCE_MS - SCAN_INTERVAL_MS;
  const video = await openVideo(file, {
    signal,
    onProgress(bytesDone, total) {
      const now = performance.now();
      if (now < told + SCAN_INTERVAL_MS) return;
      told = now;
      events.onScan(bytesDone, total);
    },
  });
  signal.throwIfAborted();
  const frames = sampling === '1fps' ? framesOf(video) : model.config.num_frames;
  const size = model.config.vision_config.image_size;
  let times: number[] = [];
  const pixel_values = createTensor(gpu, [frames, 3, size, size], 'f32', 'pixel values');
  try {
    await gpu.memory.check();
    await decodeSampled(video, {
      signal,
      choose: (n) => sampleFrameIndices(n, frames),
      onChoice(indices, damage) {
        times = indices.map((i) => video.frames.times[i]!);
        events.onInfo(videoInfo(video, times, damage));
      },
      async onFrame(position, frame) {
        const pixels = await readPixels(frame, video);
        preprocessor.run(pixels, pixel_values, position);
        // The queue keeps a copy of the frame's bytes until its turn comes.
        if (pixels.data.length > LARGE_FRAME_BYTES) await gpu.device.queue.onSubmittedWorkDone();
        events.onFrame(position, times[position]!, await makeThumbnail(pixels, video));
      },
    });
    signal.throwIfAborted();
    const read = performance.now();
    const visual = await model.encodeVideo(pixel_values);
    await gpu.device.queue.onSubmittedWorkDone();
    if (signal.aborted) {
      visual.buffer.destroy();
      throw signal.reason;
    }
    return { visual, readMs: read - start, encodeMs: performance.now() - read };
  } finally {
    pixel_values.buffer.destroy();
  }
}

/** Frames at one a second. Many files have times in whole milliseconds: 10 s less a rounding are 10 frames, not 9. */
function framesOf({ durationSeconds }: VideoFile): number {
  return oneFpsCount(Math.round(durationSeconds * 1000) / 1000, MAX_1FPS_FRAMES);
}

function videoInfo(video: VideoFile, sampledTimes: number[], damage: Damage | undefined): VideoInfo {
  const { truncation } = video;
  const warnings = [
    ...(truncation ? [truncationWarning(truncation)] : []),
    ...(damage ? [damageWarning(damage)] : []),
  ];
  return {
    name: video.name,
    codec: video.codec,
    width: video.width,
    height: video.height,
    durationSeconds: video.durationSeconds,
    frameCount: video.frameCount,
    sampledTimes,
    ...(truncation
      ? {
          truncation: {
            declaredSeconds: truncation.declaredSeconds,
            readableSeconds: truncation.readableSeconds,
          },
        }
      : {}),
    ...(warnings.length ? { warning: warnings.join(' ') } : {}),
  };
}

function truncationWarning({ declaredSeconds, readableSeconds }: Truncation): string {
  return (
    `The video stops early: the file says ${declaredSeconds.toFixed(1)} s, but only ` +
    `${readableSeconds.toFixed(1)} s can be read. Frames are taken from the part that works.`
  );
}

function damageWarning({ fromSeconds, seconds }: Damage): string {
  return (
    `The video is damaged: ${seconds.toFixed(1)} s of it, from ${fromSeconds.toFixed(1)} s on, cannot be decoded. ` +
    'Frames are taken from the rest.'
  );
}
