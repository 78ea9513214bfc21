import { VideoError } from './errors';

/** What to do about a file that is damaged. */
export const GET_AGAIN = 'Get the file again from where it came, or choose another video.';

/** The file has no video track. @param sound whether it has one of sound. */
export function withoutVideo(name: string, sound: boolean): VideoError {
  return new VideoError(
    'no-video-track',
    `${name} holds no video track${sound ? ', only sound' : ''}.`,
    'Choose another video.',
  );
}

/** The file has a video track that shows nothing. */
export function withoutFrames(name: string): VideoError {
  return new VideoError('no-video-track', `${name} has a video track without frames to show.`, GET_AGAIN);
}

/** The file ends before its first frame does. */
export function cutOff(name: string, declaredSeconds: number): VideoError {
  return new VideoError(
    'truncated',
    `${name} says it lasts ${declaredSeconds.toFixed(1)} s, but none of its frames can be read. It looks cut off.`,
    GET_AGAIN,
  );
}

/** @throws VideoError `corrupt` where pictures have no size. */
export function checkSize(name: string, width: number, height: number): void {
  if (width > 0 && height > 0) return;
  throw new VideoError(
    'corrupt',
    `${name} is damaged: it says that its pictures are ${width} x ${height} pixels.`,
    GET_AGAIN,
  );
}
