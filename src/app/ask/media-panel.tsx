import { useCallback, useRef } from 'react';
import { formatTime } from '../shared/format';
import { Icon } from '../shared/icon';
import { ErrorMessage } from '../shared/message';
import { ProgressBar } from '../shared/progress-bar';
import { useEngine, useServices } from '../store/app-services';
import { FilmStrip } from './film-strip';
import { Gallery } from './gallery';
import { Player } from './player';
import { useActions } from './use-actions';
import { useFileDrop } from './use-file-drop';
import { nearestFrame, usePlayback } from './use-playback';

/** File name, player, film strip and sample clips. */
export function MediaPanel() {
  const { player, client } = useServices();
  const { openFile, seek } = useActions();
  const video = useEngine((state) => state.video);
  const error = useEngine((state) => state.errors.video);
  const expectedFrames = useEngine((state) => state.model.info?.frames ?? 0);
  const input = useRef<HTMLInputElement>(null);
  const dragging = useFileDrop(openFile);
  const playback = usePlayback(player, video?.url);
  const choose = useCallback(() => input.current?.click(), []);
  const info = video?.info;
  const duration = info?.durationSeconds ?? playback.duration;
  const ratio = info && info.height > 0 ? info.width / info.height : 1;
  const times = info?.sampledTimes ?? [];
  const current = nearestFrame(times, playback.time);
  const shape = !video ? 'no-video' : ratio > 1.25 ? 'wide' : 'square';
  return (
    <>
      <div className="row file-head">
        <h2 className="ell med" title={video?.name}>
          {video?.name ?? 'No video yet'}
        </h2>
        {info && (
          <span className="t3 sm file-facts" title={`${info.codec}, ${info.frameCount} frames`}>
            {formatDurationShort(info.durationSeconds)}, {info.width} × {info.height}
          </span>
        )}
        <button type="button" className="btn sp" onClick={choose}>
          <Icon name="folder" size={15} />
          Open video
        </button>
        <input
          ref={input}
          type="file"
          hidden
          aria-label="Video file"
          accept="video/*,.mp4,.m4v,.mov"
          data-testid="video-input"
          onChange={(event) => {
            const file = event.target.files?.[0];
            event.target.value = '';
            if (file) openFile(file);
          }}
        />
      </div>
      <div className={`media ${shape}`}>
        {/* The testid is the place where a file lands, with a video in it or not. */}
        <div className={`player ${dragging ? 'dragging' : ''}`} data-testid="video-drop">
          {video ? (
            <Player
              {...playback}
              duration={playback.duration ?? duration}
              url={video.url}
              name={video.name}
              times={times}
              onSeek={seek}
            />
          ) : (
            <button type="button" className="drop" onClick={choose}>
              <span>Drop a video</span>
              <span className="t3 sm">MP4 or MOV, or take a sample clip below</span>
            </button>
          )}
          {dragging && <div className="drop-here">Drop it here</div>}
          {video?.status === 'reading' && (
            <div className="reading">
              <ProgressBar progress={video.progress} fallback="Reading the video" />
            </div>
          )}
        </div>
        {video && video.status !== 'failed' && (
          <FilmStrip
            frames={video.frames}
            times={times}
            places={expectedFrames}
            current={current}
            ratio={ratio}
            onSeek={seek}
          />
        )}
      </div>
      {error && (
        <ErrorMessage error={error} icon="file">
          <button type="button" className="btn" onClick={choose}>
            Choose another video
          </button>
          {video && video.status !== 'failed' && (
            <button type="button" className="btn q" onClick={() => client.dismiss('video')}>
              Close
            </button>
          )}
        </ErrorMessage>
      )}
      {info?.warning && (
        <p className="note" role="status">
          <Icon name="info" size={14} /> {info.warning}
        </p>
      )}
      <Gallery />
    </>
  );
}

function formatDurationShort(seconds: number): string {
  return seconds < 60 ? `${seconds.toFixed(1)} s` : formatTime(seconds);
}
