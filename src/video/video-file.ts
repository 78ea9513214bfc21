import type { ColourTags } from './colour';
import type { SampleReader } from './sample-reader';

/**
 * Coded frames in decoding order, a column for each of their properties: two hours of video are 400,000 of them, for
 * which objects would take hundreds of megabytes.
 */
export interface Samples {
  readonly length: number;
  /** Where the file's reader finds each: its byte offset in an MP4, a number of the demuxer's in a Matroska file. */
  readonly positions: Float64Array;
  /** Bytes. */
  readonly sizes: Uint32Array;
  /** 1: a key frame. */
  readonly keys: Uint8Array;
  /** Composition time in microseconds, unique in the track: what the decoder is given as timestamp. */
  readonly timestamps: Float64Array;
  /** Microseconds. */
  readonly durations: Float64Array;
}

/** Shown frames in presentation order. */
export interface ShownFrames {
  readonly length: number;
  /** Index into `Samples` of each. */
  readonly samples: Uint32Array;
  /** Seconds from the start of the presentation. */
  readonly times: Float64Array;
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
  /** Shown frames, edit list applied. */
  readonly frames: ShownFrames;
  readonly samples: Samples;
  /** WebCodecs codec string, e.g. 'avc1.64001f'. */
  readonly codec: string;
  /** The decoder's configuration record as it is in the file (avcC or hvcC without header), where the codec has one. */
  readonly description: Uint8Array<ArrayBuffer> | undefined;
  /** Colour tags of stream and container; the stream's win. */
  readonly colour: ColourTags;
  /** True where `colour` is all that the stream says; false where only the decoder reads the stream's own tags. */
  readonly colourIsFinal: boolean;
  readonly truncation: Truncation | undefined;
  /** A reader of the samples' bytes, for one pass of decoding. */
  openReader(): SampleReader;
}

/** What opening a video tells and is told; for files that must be scanned. */
export interface OpenOptions {
  /** How many of the file's bytes are scanned. */
  onProgress?(bytesDone: number, total: number): void;
  signal?: AbortSignal;
}
