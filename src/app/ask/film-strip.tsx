import { memo, useEffect, useRef } from 'react';
import { formatTime } from '../shared/format';
import type { Frame } from '../store/engine-state';
import { FrameCanvas } from './frame-canvas';

/** Thumbnails of the sampled frames, in order. A click seeks. Frames still to come are empty places. */
export function FilmStrip({
  frames,
  times,
  places,
  current,
  ratio,
  onSeek,
}: {
  frames: readonly Frame[];
  /** Seconds of all frames that will be sampled. */
  times: readonly number[];
  /** Places to show while the times are not known. */
  places: number;
  /** Index of the frame nearest to the player's time; -1 for none. */
  current: number;
  /** Width over height. */
  ratio: number;
  onSeek: (time: number) => void;
}) {
  const list = useRef<HTMLOListElement>(null);
  // With 64 frames most are out of sight: the strip follows the player, and only the strip.
  useEffect(() => {
    const strip = list.current;
    const cell = strip?.children[current];
    if (
      !strip ||
      !cell ||
      (strip.scrollHeight <= strip.clientHeight && strip.scrollWidth <= strip.clientWidth)
    )
      return;
    const outer = strip.getBoundingClientRect();
    const inner = cell.getBoundingClientRect();
    const beyond = (low: number, high: number, from: number, to: number) =>
      low < from ? low - from : high > to ? high - to : 0;
    strip.scrollTop += beyond(inner.top - 4, inner.bottom + 4, outer.top, outer.bottom);
    strip.scrollLeft += beyond(inner.left - 4, inner.right + 4, outer.left, outer.right);
  }, [current]);
  const byIndex = new Map(frames.map((frame) => [frame.index, frame]));
  const count = Math.max(times.length || places, (frames.at(-1)?.index ?? -1) + 1);
  return (
    <ol ref={list} className="strip" data-testid="frame-strip" aria-label="Sampled frames">
      {Array.from({ length: count }, (_, index) => {
        const frame = byIndex.get(index);
        const time = frame?.time ?? times[index];
        return (
          <FrameCell
            // biome-ignore lint/suspicious/noArrayIndexKey: the index is the frame's identity
            key={index}
            index={index}
            time={time}
            bitmap={frame?.thumbnail}
            ratio={ratio}
            on={index === current}
            onSeek={onSeek}
          />
        );
      })}
    </ol>
  );
}

const FrameCell = memo(function FrameCell({
  index,
  time,
  bitmap,
  ratio,
  on,
  onSeek,
}: {
  index: number;
  time: number | undefined;
  bitmap: ImageBitmap | undefined;
  ratio: number;
  on: boolean;
  onSeek: (time: number) => void;
}) {
  return (
    <li>
      <button
        type="button"
        className={`fr ${on ? 'on' : ''}`}
        disabled={time === undefined}
        aria-label={`Frame ${index + 1}${time === undefined ? '' : `, ${formatTime(time)}`}`}
        aria-current={on ? 'true' : undefined}
        onClick={() => time !== undefined && onSeek(time)}
      >
        <span className="fr-image" style={{ aspectRatio: ratio }}>
          {bitmap && <FrameCanvas bitmap={bitmap} />}
        </span>
        <span className="fr-label">
          <span className="fr-number">{index + 1}</span>
          <span>{time === undefined ? '' : formatTime(time)}</span>
        </span>
      </button>
    </li>
  );
});
