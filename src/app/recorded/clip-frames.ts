/** Width of the stills, pixels. */
const WIDTH = 160;
/** A player that shows nothing in this time (phones load no video before it is touched) never will. */
const PATIENCE_MS = 5000;

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
  video.playsInline = true;
  video.preload = 'auto';
  try {
    await once(video, 'loadeddata', signal, () => {
      video.src = url;
    });
    const height = Math.round((WIDTH * video.videoHeight) / video.videoWidth);
    for (const [index, time] of times.entries()) {
      await once(video, 'seeked', signal, () => {
        // A hair after the frame's own time: exactly at it, some decoders still show the frame before.
        video.currentTime = time + 0.001;
      });
      signal.throwIfAborted();
      onFrame(index, await createImageBitmap(video, { resizeWidth: WIDTH, resizeHeight: height }));
    }
  } catch {
    // The film strip stays empty; the recording itself can still be played.
    if (signal.aborted) throw signal.reason;
  } finally {
    video.removeAttribute('src');
    video.load();
    URL.revokeObjectURL(url);
  }
}

function once(video: HTMLVideoElement, event: string, signal: AbortSignal, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = new AbortController();
    const settle = (done: () => void) => () => {
      end.abort();
      clearTimeout(late);
      done();
    };
    const fail = settle(() => reject(new Error('The player cannot show this file.')));
    const late = setTimeout(fail, PATIENCE_MS);
    video.addEventListener(event, settle(resolve), { signal: end.signal });
    video.addEventListener('error', fail, { signal: end.signal });
    signal.addEventListener(
      'abort',
      settle(() => reject(signal.reason)),
      { signal: end.signal },
    );
    start();
  });
}
