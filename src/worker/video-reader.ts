import type { Gpu } from '../gpu/device';
import { createTensor, type GpuTensor } from '../gpu/tensor';
import type { TinyLlava } from '../model/tiny-llava';
import { openVideo } from '../video/container';
import { decodeFrames } from '../video/decode';
import { sampleFrameIndices } from '../video/frame-indices';
import { readPixels } from '../video/frame-pixels';
import type { Preprocessor } from '../video/preprocessor';
import { makeThumbnail } from '../video/thumbnail';
import type { VideoFile } from '../video/video-file';
import type { VideoInfo } from './protocol';

/** What `readVideo` tells while it works. */
export interface VideoReaderEvents {
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
 * A file's way to visual tokens: tables, `group` uniformly sampled frames, decoding, preprocessing, vision tower,
 * resampler.
 * @throws VideoError; the signal's reason when aborted.
 */
export async function readVideo(
  gpu: Gpu,
  model: TinyLlava,
  preprocessor: Preprocessor,
  file: Blob & { name?: string },
  events: VideoReaderEvents,
  signal: AbortSignal,
): Promise<EncodedVideo> {
  const start = performance.now();
  const video = await openVideo(file);
  signal.throwIfAborted();
  const frames = model.config.num_frames;
  const size = model.config.vision_config.image_size;
  const indices = sampleFrameIndices(video.frameCount, frames);
  const times = indices.map((i) => video.frames.times[i]!);
  events.onInfo(videoInfo(video, times));
  const pixel_values = createTensor(gpu, [frames, 3, size, size], 'f32', 'pixel values');
  try {
    await decodeFrames(video, indices, {
      signal,
      async onFrame(position, frame) {
        const pixels = await readPixels(frame, video);
        preprocessor.run(pixels, pixel_values, position);
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

function videoInfo(video: VideoFile, sampledTimes: number[]): VideoInfo {
  const { truncation } = video;
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
          warning:
            `The video stops early: the file says ${truncation.declaredSeconds.toFixed(1)} s, but only ` +
            `${truncation.readableSeconds.toFixed(1)} s can be read. Frames are taken from the part that works.`,
        }
      : {}),
  };
}
