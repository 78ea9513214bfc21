import { useCallback, useRef, useState } from 'react';
import { addLooseFiles, chooseFolder } from '../models/choose-model';
import { formatTime } from '../shared/format';
import { Icon } from '../shared/icon';
import { ProgressBar } from '../shared/progress-bar';
import { Segmented } from '../shared/segmented';
import { useEngine, useServices, useView } from '../store/app-services';
import { runningAnswer, type VideoState } from '../store/engine-state';
import { FilmStrip } from './film-strip';
import { Gallery } from './gallery';
import { VideoError, VideoWarning } from './media-messages';
import { Player } from './player';
import { useActions } from './use-actions';
import { useFileDrop } from './use-file-drop';
import { nearestFrame, usePlayback, useReload } from './use-playback';

/** What the picker offers. Other files can still be dropped; the engine says what it cannot read. */
const ACCEPT = 'video/*,.mp4,.m4v,.mov,.webm,.mkv';

/** File name, player, film strip and sample clips. */
export function MediaPanel() {
  const { openFile, seek } = useActions();
  const video = useEngine((state) => state.video);
  const expectedFrames = useEngine((state) => state.model.info?.frames ?? 0);
  const input = useRef<HTMLInputElement>(null);
  const services = useServices();
  const dragging = useFileDrop(
    openFile,
    (folder) => chooseFolder(services, folder),
    (files) => void addLooseFiles(services, files),
  );
  const playback = usePlayback(services.player, video?.url);
  useReload(
    services.player,
    useEngine((state) => state.recovering),
  );
  const choose = useCallback(() => input.current?.click(), []);
  const toy = useToyClip();
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
        <button
          type="button"
          className="btn q sp"
          disabled={toy.busy}
          title="A random clip of moving shapes, made in this tab, with its questions"
          onClick={toy.make}
        >
          <Icon name="dice" size={15} />
          {toy.busy ? 'Making a clip' : 'New toy clip'}
        </button>
        <button type="button" className="btn" onClick={choose}>
          <Icon name="folder" size={15} />
          Open video
        </button>
        <input
          ref={input}
          type="file"
          hidden
          aria-label="Video file"
          accept={ACCEPT}
          data-testid="video-input"
          onChange={(event) => {
            const file = event.target.files?.[0];
            event.target.value = '';
            if (file) openFile(file);
          }}
        />
      </div>
      {toy.problem && (
        <p className="field-problem" role="alert" data-testid="error">
          No clip was made. {toy.problem} The sample clips below need no encoder.
        </p>
      )}
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
              <span>Drop or paste a video</span>
              <span className="t3 sm">MP4, MOV, WebM or MKV, or take a sample clip below</span>
            </button>
          )}
          {dragging && <div className="drop-here">Drop it here</div>}
          {video?.status === 'reading' && <Reading video={video} />}
        </div>
        {video && video.status !== 'failed' && (
          <FilmStrip
            frames={video.frames}
            times={times}
            places={video.sampling === 'uniform' ? expectedFrames : 0}
            current={current}
            ratio={ratio}
            onSeek={seek}
          />
        )}
      </div>
      <VideoError onChoose={choose} />
      <VideoWarning onChoose={choose} />
      <div className={`media-foot ${video ? 'compact' : ''}`}>
        <Gallery />
        <Sampling />
      </div>
    </>
  );
}

/** How far the reading has come, and its end. Without a model there is nothing to read with yet. */
function Reading({ video }: { video: VideoState }) {
  const { client } = useServices();
  const model = useEngine((state) => state.model.status);
  const waits = model === 'failed' || model === 'idle';
  return (
    <div className="reading">
      {waits ? (
        <span className="t3 sm">Kept until a model is loaded</span>
      ) : (
        <ProgressBar
          progress={video.progress}
          fallback={model === 'ready' ? 'Reading the video' : 'Waits for the model'}
        />
      )}
      <button type="button" className="btn small" onClick={() => client.cancelVideo()}>
        Cancel
      </button>
    </div>
  );
}

function Sampling() {
  const { setSampling } = useActions();
  const sampling = useView((view) => view.sampling);
  const frames = useEngine((state) => state.model.info?.frames);
  const running = useEngine((state) => runningAnswer(state) !== undefined);
  return (
    <Segmented
      label="Frames taken from the video"
      value={sampling}
      disabled={running}
      options={[
        {
          value: 'uniform',
          label: frames ? `${frames} even` : 'even',
          title: 'Even frames, as the model was trained',
        },
        { value: '1fps', label: '1 per second', title: 'One frame a second, at most 64: for longer videos' },
      ]}
      onChange={setSampling}
    />
  );
}

/** Makes toy clips: whether one is being made, and why the last one was not. */
function useToyClip() {
  const { newToyClip } = useActions();
  const [state, setState] = useState<{ busy: boolean; problem?: string }>({ busy: false });
  const make = () => {
    setState({ busy: true });
    newToyClip().then(
      () => setState({ busy: false }),
      (cause: unknown) =>
        setState({ busy: false, problem: cause instanceof Error ? cause.message : String(cause) }),
    );
  };
  return { ...state, make };
}

function formatDurationShort(seconds: number): string {
  return seconds < 60 ? `${seconds.toFixed(1)} s` : formatTime(seconds);
}
