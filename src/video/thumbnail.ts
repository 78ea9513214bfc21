import { type FramePixels, toVideoFrame } from './frame-pixels';

/** Size of a picture of `width` x `height` scaled down to at most `maxWidth` pixels of width. */
export function thumbnailSize(width: number, height: number, maxWidth: number): [number, number] {
  const scale = Math.min(1, maxWidth / width);
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

/**
 * A small upright picture of a frame for the film strip, in the frame's own colours. Works in a worker.
 * @param shown the video's display size (`VideoFile.width`, `.height`), whose shape the picture keeps.
 * @param maxWidth pixels.
 */
export async function makeThumbnail(
  pixels: FramePixels,
  shown: { width: number; height: number },
  maxWidth = 160,
): Promise<ImageBitmap> {
  const [width, height] = thumbnailSize(shown.width, shown.height, maxWidth);
  const frame = toVideoFrame(pixels);
  try {
    return await createImageBitmap(frame, {
      resizeWidth: width,
      resizeHeight: height,
      resizeQuality: 'high',
    });
  } finally {
    frame.close();
  }
}
