import { formatTime } from '../shared/format';
import { Icon } from '../shared/icon';
import { useServices } from '../store/app-services';
import { togglePlay } from './use-playback';

/** The video with play, scrub and a tick at each sampled frame. */
export function Player({
  url,
  name,
  time,
  duration,
  playing,
  broken,
  times,
  onSeek,
}: {
  url: string;
  name: string;
  time: number;
  duration: number | undefined;
  playing: boolean;
  /** True where the browser's own player cannot show the file. */
  broken: boolean;
  /** Seconds of the sampled frames. */
  times: readonly number[];
  onSeek: (time: number) => void;
}) {
  const { player } = useServices();
  const share = duration ? Math.min(1, time / duration) : 0;
  return (
    <>
      <div className="view">
        <video
          ref={player}
          src={url}
          muted
          playsInline
          preload="auto"
          aria-label={name}
          onClick={() => togglePlay(player.current)}
        />
        {broken && <p className="view-note t3">The player cannot show this file.</p>}
      </div>
      <div className="ctrl">
        <button
          type="button"
          className="ib play"
          aria-label={playing ? 'Pause' : 'Play'}
          disabled={broken}
          onClick={() => togglePlay(player.current)}
        >
          <Icon name={playing ? 'pause' : 'play'} />
        </button>
        <div className="scrub">
          <div className="scrub-past" style={{ width: `${share * 100}%` }} />
          {duration // A clip of few frames gives some of them more than once.
            ? [...new Set(times)].map((at) => (
                <i key={at} style={{ left: `${Math.min(1, at / duration) * 100}%` }} />
              ))
            : null}
          <b style={{ left: `${share * 100}%` }} />
          <input
            type="range"
            aria-label="Position in the video"
            aria-valuetext={formatTime(time)}
            min={0}
            max={duration ?? 0}
            step={0.01}
            value={Math.min(time, duration ?? 0)}
            disabled={!duration || broken}
            onChange={(event) => onSeek(event.target.valueAsNumber)}
          />
        </div>
        <span className="sm clock">
          {formatClock(time, duration)}{' '}
          {duration ? <span className="t3">/ {formatTime(duration)}</span> : null}
        </span>
      </div>
    </>
  );
}

function formatClock(time: number, duration: number | undefined): string {
  return duration !== undefined && duration < 60 ? time.toFixed(2) : formatTime(time);
}
