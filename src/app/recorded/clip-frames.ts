/** Edge of the stills, pixels. */
const WIDTH = 160;

/**
 * Stills of a clip at the given times (seconds), through the browser's own player, as there is no decoder of ours.
 * Calls `onFrame` in order; ends early where the player cannot show the file.
 */
export async function playFrames(
  file: Blob,
  times: readonly number[],
  onFrame: (index: number, still: ImageBitmap) => void,
  signal: AbortSignal,
): Promise<void> {
  const url = URL.createObjectURL(file);
  const video = document.createElement('video');
  video.muted = true;
  video.preload = 'auto';
  try {
    await once(video, 'loadeddata', () => {
      video.src = url;
    });
    const height = Math.round((WIDTH * video.videoHeight) / video.videoWidth);
    for (const [index, time] of times.entries()) {
      await once(video, 'seeked', () => {
        // A hair after the frame's own time: exactly at it, some decoders still show the frame before.
        video.currentTime = time + 0.001;
      });
      signal.throwIfAborted();
      onFrame(index, await createImageBitmap(video, { resizeWidth: WIDTH, resizeHeight: height }));
    }
  } catch (cause) {
    // The film strip stays empty; the recording itself can still be played.
    if (signal.aborted) throw cause;
  } finally {
    video.removeAttribute('src');
    video.load();
    URL.revokeObjectURL(url);
  }
}

function once(video: HTMLVideoElement, event: string, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = new AbortController();
    const settle = (done: () => void) => () => {
      end.abort();
      done();
    };
    video.addEventListener(event, settle(resolve), { signal: end.signal });
    video.addEventListener(
      'error',
      settle(() => reject(new Error('The player cannot show this file.'))),
      {
        signal: end.signal,
      },
    );
    start();
  });
}
