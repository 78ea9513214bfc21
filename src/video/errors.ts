/** What is wrong with a video. The page may choose its own wording and way out by it. */
export type VideoErrorCode =
  | 'empty'
  | 'unreadable'
  | 'not-a-video'
  | 'unsupported-container'
  | 'truncated'
  | 'corrupt'
  | 'no-video-track'
  | 'unsupported-codec'
  | 'too-large'
  | 'no-webcodecs'
  | 'decode-failed';

/** An error of the video room. `message` says what is wrong, `hint` what to do; both are sentences for the user. */
export class VideoError extends Error {
  override name = 'VideoError';
  constructor(
    readonly code: VideoErrorCode,
    message: string,
    readonly hint?: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A stretch of a video that the decoder gives up on. */
export class DamageError extends VideoError {
  /** @param frame presentation index of the first frame of the stretch that did not come. */
  constructor(
    readonly frame: number,
    message: string,
    hint: string,
    options?: ErrorOptions,
  ) {
    super('decode-failed', message, hint, options);
  }
}
