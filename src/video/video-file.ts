import type { ColourTags } from './colour';

/** One coded frame: where its bytes are, and when it is shown. Kept in decoding order. */
export interface Sample {
  /** Byte offset in the file. */
  offset: number;
  size: number;
  isKey: boolean;
  /** Composition time in microseconds, unique in the track: what the decoder is given as timestamp. */
  timestamp: number;
  /** Microseconds. */
  duration: number;
}

/** One shown frame, in presentation order. */
export interface ShownFrame {
  /** Index into `samples`. */
  sample: number;
  /** Seconds from the start of the presentation. */
  time: number;
}

/** A file that stops before its own tables say it should. */
export interface Truncation {
  declaredSeconds: number;
  readableSeconds: number;
}

/** An opened video: everything but the frames' bytes, which stay in the file until they are decoded. */
export interface VideoFile {
  readonly file: Blob;
  readonly name: string;
  /** Size as shown, in pixels: after cropping, pixel aspect ratio and rotation. */
  readonly width: number;
  readonly height: number;
  /** Coded size that the sample description declares, before rotation. */
  readonly codedWidth: number;
  readonly codedHeight: number;
  /** Degrees clockwise by which decoded frames are turned before they are shown. */
  readonly rotation: 0 | 90 | 180 | 270;
  /** Of the part that can be read. */
  readonly durationSeconds: number;
  /** Frames shown: `frames.length`. */
  readonly frameCount: number;
  /** Shown frames in presentation order, edit list applied. */
  readonly frames: readonly ShownFrame[];
  /** Coded frames in decoding order. */
  readonly samples: readonly Sample[];
  /** WebCodecs codec string, e.g. 'avc1.64001f'. */
  readonly codec: string;
  /** The decoder's configuration record as it is in the file (avcC or hvcC without header), where the codec has one. */
  readonly description: Uint8Array<ArrayBuffer> | undefined;
  /** Colour tags of stream and container; the stream's win. */
  readonly colour: ColourTags;
  /** True where `colour` is all that the stream says; false where only the decoder reads the stream's own tags. */
  readonly colourIsFinal: boolean;
  readonly truncation: Truncation | undefined;
}
