import { readPixels } from '../../src/video/frame-pixels';
import type { VideoFile } from '../../src/video/video-file';

/** The number that a frame of the fixtures shows in its eight columns, read from the middle of each. */
export async function numberOf(frame: VideoFrame, video: VideoFile): Promise<number> {
  const { width, height, planes, data } = await readPixels(frame, video);
  let number = 0;
  for (let bit = 0; bit < 8; bit++) {
    const at = planes[0]!.offset + planes[0]!.stride * (height >> 1) + Math.floor(((bit + 0.5) * width) / 8);
    if (data[at]! > 127) number += 2 ** bit;
  }
  return number;
}
