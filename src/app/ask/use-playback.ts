import { type RefObject, useEffect, useState } from 'react';

/** Time and state of a video element, followed frame by frame while it plays. */
export function usePlayback(ref: RefObject<HTMLVideoElement | null>, url: string | undefined) {
  const [time, setTime] = useState(0);
  const [duration, setDuration] = useState<number>();
  const [playing, setPlaying] = useState(false);
  const [broken, setBroken] = useState(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another url is another video in the same element
  useEffect(() => {
    const video = ref.current;
    setTime(0);
    setDuration(undefined);
    setPlaying(false);
    setBroken(false);
    if (!video) return;
    let frame = 0;
    const follow = () => {
      setTime(video.currentTime);
      if (!video.paused) frame = requestAnimationFrame(follow);
    };
    const onPlay = () => {
      setPlaying(true);
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(follow);
    };
    const onPause = () => setPlaying(false);
    const onTime = () => setTime(video.currentTime);
    const onMeta = () => setDuration(Number.isFinite(video.duration) ? video.duration : undefined);
    const onError = () => setBroken(true);
    const listeners = {
      play: onPlay,
      pause: onPause,
      ended: onPause,
      seeked: onTime,
      timeupdate: onTime,
      loadedmetadata: onMeta,
      durationchange: onMeta,
      error: onError,
    };
    for (const [name, listener] of Object.entries(listeners)) video.addEventListener(name, listener);
    if (video.readyState >= HTMLMediaElement.HAVE_METADATA) onMeta();
    return () => {
      cancelAnimationFrame(frame);
      for (const [name, listener] of Object.entries(listeners)) video.removeEventListener(name, listener);
    };
  }, [ref, url]);
  return { time, duration, playing, broken };
}

/** Loads the player's video once more when the GPU is back: a crash of the GPU's process leaves the player black. */
export function useReload(ref: RefObject<HTMLVideoElement | null>, recovering: boolean): void {
  const [lost, setLost] = useState(false);
  useEffect(() => {
    if (recovering) setLost(true);
    else if (lost) {
      setLost(false);
      const video = ref.current;
      if (!video) return;
      const time = video.currentTime;
      video.load();
      video.currentTime = time;
    }
  }, [ref, recovering, lost]);
}

/** Plays or pauses. A browser that refuses to play leaves the video paused. */
export function togglePlay(video: HTMLVideoElement | null): void {
  if (!video) return;
  if (video.paused) video.play().catch(() => {});
  else video.pause();
}

/** The sampled frame nearest to a time; -1 where there is none. */
export function nearestFrame(times: readonly number[], time: number): number {
  let best = -1;
  for (let i = 0; i < times.length; i++) {
    if (best < 0 || Math.abs(times[i]! - time) < Math.abs(times[best]! - time)) best = i;
  }
  return best;
}
