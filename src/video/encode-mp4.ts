import {
  BufferTarget,
  getFirstEncodableVideoCodec,
  Mp4OutputFormat,
  Output,
  QUALITY_HIGH,
  VideoSample,
  VideoSampleSource,
} from 'mediabunny';

/** One RGB picture, `[height, width, 3]`, bytes. */
export interface RgbFrame {
  width: number;
  height: number;
  data: Uint8Array;
}

/** Codecs of a new clip, the first that this browser encodes. MP4 holds all three. */
const CODECS = ['avc', 'vp9', 'av1'] as const;

/**
 * Encodes pictures as an MP4 (progressive, `moov` first) with the browser's own encoder: H.264 where it has that, else
 * VP9 or AV1. All frames have the same even width and height; `framesPerSecond` sets their times.
 * @throws Error where this browser encodes none of them.
 */
export async function encodeMp4(frames: readonly RgbFrame[], framesPerSecond: number): Promise<Blob> {
  const first = frames[0];
  if (!first) throw new Error('A clip needs at least one frame.');
  if (!('VideoEncoder' in globalThis))
    throw new Error('This browser has no video encoder (WebCodecs VideoEncoder).');
  const codec = await getFirstEncodableVideoCodec([...CODECS], { width: first.width, height: first.height });
  if (!codec) throw new Error('This browser has no encoder for H.264, VP9 or AV1.');
  const target = new BufferTarget();
  const output = new Output({ format: new Mp4OutputFormat({ fastStart: 'in-memory' }), target });
  const source = new VideoSampleSource({ codec, quality: QUALITY_HIGH, keyFrameInterval: 1 });
  output.addVideoTrack(source, { frameRate: framesPerSecond });
  await output.start();
  for (const [i, frame] of frames.entries()) {
    const sample = new VideoSample(rgba(frame), {
      format: 'RGBX',
      codedWidth: frame.width,
      codedHeight: frame.height,
      timestamp: i / framesPerSecond,
      duration: 1 / framesPerSecond,
    });
    try {
      await source.add(sample);
    } finally {
      sample.close();
    }
  }
  await output.finalize();
  if (!target.buffer) throw new Error('The encoder gave no file.');
  return new Blob([target.buffer], { type: 'video/mp4' });
}

function rgba({ width, height, data }: RgbFrame): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(width * height * 4).fill(255);
  for (let i = 0, o = 0; i < data.length; i += 3, o += 4) {
    out[o] = data[i]!;
    out[o + 1] = data[i + 1]!;
    out[o + 2] = data[i + 2]!;
  }
  return out;
}
