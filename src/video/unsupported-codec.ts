import { VideoError } from './errors';

/** Names that people know, by the first four characters of a codec string. */
const CODEC_NAMES: Record<string, string> = {
  hvc1: 'HEVC',
  hev1: 'HEVC',
  dvh1: 'Dolby Vision HEVC',
  dvhe: 'Dolby Vision HEVC',
  vvc1: 'VVC',
  mp4v: 'MPEG-4 Visual',
  jpeg: 'Motion JPEG',
  mjpg: 'Motion JPEG',
  apco: 'ProRes 422 Proxy',
  apcn: 'ProRes 422',
  apch: 'ProRes 422 HQ',
  apcs: 'ProRes 422 LT',
  ap4h: 'ProRes 4444',
  avc1: 'H.264',
  avc3: 'H.264',
  vp08: 'VP8',
  vp8: 'VP8',
  vp09: 'VP9',
  av01: 'AV1',
};

/** The error of message 2 of the page's copy: which codec it is, and what to do. */
export function unsupportedCodec(name: string, codec: string): VideoError {
  const fourcc = codec.slice(0, 4);
  const known = CODEC_NAMES[fourcc];
  return new VideoError(
    'unsupported-codec',
    `${name} cannot be read here: your browser has no decoder for ${known ? `${known} (${codec})` : `the codec ${codec}`}.`,
    'Convert the file to H.264, VP9 or AV1 and drop it again. Nothing was uploaded.',
  );
}
