import { colourTags, mergeTags, resolveColour, toVideoColorSpace, type YuvColour } from './colour';
import { VideoError } from './errors';
import type { VideoFile } from './video-file';

/** Where the samples of a frame lie in its bytes. Offsets and strides in bytes. */
export interface PixelLayout {
  kind: 'yuv' | 'rgba' | 'bgra';
  /** Bits a sample has; those above 8 take two bytes, little-endian. */
  depth: number;
  /** log2 of the chroma subsampling. */
  shiftX: number;
  shiftY: number;
  /** One Cb and Cr plane, interleaved. */
  interleaved: boolean;
}

/** The bytes of a decoded frame, before colour conversion and rotation. */
export interface FramePixels {
  width: number;
  height: number;
  /** Degrees clockwise that are still to be applied. */
  rotation: 0 | 90 | 180 | 270;
  format: string;
  layout: PixelLayout;
  planes: readonly { offset: number; stride: number }[];
  /** A multiple of 4 bytes long. */
  data: Uint8Array<ArrayBuffer>;
  colour: YuvColour;
}

const yuv = (shiftX: number, shiftY: number, depth = 8, interleaved = false): PixelLayout => ({
  kind: 'yuv',
  depth,
  shiftX,
  shiftY,
  interleaved,
});
const packed = (kind: 'rgba' | 'bgra'): PixelLayout => ({ ...yuv(0, 0), kind });

const LAYOUTS: Readonly<Record<string, PixelLayout>> = {
  I420: yuv(1, 1),
  I420A: yuv(1, 1),
  I422: yuv(1, 0),
  I444: yuv(0, 0),
  NV12: yuv(1, 1, 8, true),
  I420P10: yuv(1, 1, 10),
  I422P10: yuv(1, 0, 10),
  I444P10: yuv(0, 0, 10),
  I420P12: yuv(1, 1, 12),
  I422P12: yuv(1, 0, 12),
  I444P12: yuv(0, 0, 12),
  RGBA: packed('rgba'),
  RGBX: packed('rgba'),
  BGRA: packed('bgra'),
  BGRX: packed('bgra'),
};

/** An RGB picture [height, width, 3] as the bytes of a frame. */
export function pixelsOfRgb(width: number, height: number, rgb: Uint8Array): FramePixels {
  if (rgb.length !== width * height * 3)
    throw new RangeError(`${rgb.length} bytes given for an RGB picture of ${width} x ${height}.`);
  const data = new Uint8Array(width * height * 4);
  for (let i = 0; i < width * height; i++) for (let c = 0; c < 3; c++) data[i * 4 + c] = rgb[i * 3 + c]!;
  return {
    width,
    height,
    rotation: 0,
    format: 'RGBX',
    layout: LAYOUTS.RGBX!,
    planes: [{ offset: 0, stride: width * 4 }],
    data,
    colour: { matrix: 0, fullRange: true },
  };
}

/**
 * Copies the visible pixels of a decoded frame, in the frame's own format where the browser gives it (so that the
 * colour conversion is ours), else as RGBA by the browser's conversion.
 * @throws VideoError `decode-failed` where the browser lets nothing be read.
 */
export async function readPixels(
  frame: VideoFrame,
  video: Pick<VideoFile, 'name' | 'rotation' | 'colour' | 'colourIsFinal'>,
): Promise<FramePixels> {
  const rect = frame.visibleRect;
  const width = rect?.width ?? frame.codedWidth;
  const height = rect?.height ?? frame.codedHeight;
  const own = video.colourIsFinal ? undefined : colourTags(frame.colorSpace);
  const colour = resolveColour(mergeTags(own, video.colour));
  const common = { width, height, rotation: video.rotation, colour };
  const layout = frame.format ? LAYOUTS[frame.format] : undefined;
  try {
    if (frame.format && layout) {
      const data = new Uint8Array(Math.ceil(frame.allocationSize() / 4) * 4);
      const planes = await frame.copyTo(data);
      return { ...common, format: frame.format, layout, planes, data };
    }
  } catch {
    // Some frames (on odd crops, or kept in GPU memory) cannot be copied as they are; the next way may work.
  }
  try {
    const data = new Uint8Array(width * height * 4);
    const planes = await frame.copyTo(data, { format: 'RGBA', layout: [{ offset: 0, stride: width * 4 }] });
    return { ...common, format: 'RGBA', layout: LAYOUTS.RGBA!, planes, data };
  } catch (cause) {
    throw new VideoError(
      'decode-failed',
      `A frame of ${video.name} was decoded, but the browser does not let its pixels be read (format ${frame.format ?? 'unknown'}).`,
      'Convert the file to H.264 with 8 bits (yuv420p) and drop it again.',
      { cause },
    );
  }
}

/** The same bytes as a VideoFrame with the colour tags that they are read by, for drawing. Its owner closes it. */
export function toVideoFrame(pixels: FramePixels): VideoFrame {
  const init = {
    format: pixels.format as VideoPixelFormat,
    codedWidth: pixels.width,
    codedHeight: pixels.height,
    timestamp: 0,
    layout: pixels.planes.map(({ offset, stride }) => ({ offset, stride })),
    rotation: pixels.rotation,
    ...(pixels.layout.kind === 'yuv' ? { colorSpace: toVideoColorSpace(pixels.colour) } : {}),
  };
  return new VideoFrame(pixels.data, init);
}
