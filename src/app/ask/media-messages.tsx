import { useState } from 'react';
import { CopyButton } from '../shared/copy-button';
import { ErrorMessage } from '../shared/message';
import { useEngine, useServices } from '../store/app-services';
import { ffmpegLine } from './ffmpeg-line';
import { useActions, useAskBlocker } from './use-actions';

/** Codes of errors that another encoding of the same video would mend. */
const MENDED_BY_FFMPEG = ['unsupported-codec', 'unsupported-container', 'decode-failed'];

/** What is wrong with the file that was chosen last, with the ways out. */
export function VideoError({ onChoose }: { onChoose: () => void }) {
  const { client } = useServices();
  const error = useEngine((state) => state.errors.video);
  const video = useEngine((state) => state.video);
  const refused = useEngine((state) => state.refusedVideo);
  const [showLine, setShowLine] = useState(false);
  if (!error) return null;
  const line = MENDED_BY_FFMPEG.includes(error.code)
    ? ffmpegLine(refused ?? video?.name ?? 'video')
    : undefined;
  return (
    <ErrorMessage error={error} icon="file">
      <button type="button" className="btn" onClick={onChoose}>
        Choose another video
      </button>
      {line && (
        <button
          type="button"
          className="btn q"
          aria-expanded={showLine}
          onClick={() => setShowLine((shown) => !shown)}
        >
          {showLine ? 'Hide the ffmpeg line' : 'Show the ffmpeg line'}
        </button>
      )}
      {video && video.status !== 'failed' && (
        <button type="button" className="btn q" onClick={() => client.dismiss('video')}>
          Close
        </button>
      )}
      {line && showLine && (
        <div className="command">
          <code>{line}</code>
          <CopyButton text={line} label="Copy" />
        </div>
      )}
    </ErrorMessage>
  );
}

/** What deserves a word about a video that can be used all the same: it stops early, say. */
export function VideoWarning({ onChoose }: { onChoose: () => void }) {
  const info = useEngine((state) => state.video?.info);
  const { ask } = useActions();
  const blocked = useAskBlocker() !== undefined;
  if (!info?.warning) return null;
  const { truncation } = info;
  return (
    <ErrorMessage
      error={{
        code: truncation ? 'truncated' : 'warning',
        title: truncation ? 'The video stops early.' : 'About this video.',
        message: info.warning.replace(/^The video stops early: the/, 'The'),
      }}
      icon="file"
      tone="warn"
      testId="warning"
    >
      {truncation && (
        <button type="button" className="btn" disabled={blocked} onClick={() => ask()}>
          Ask with {truncation.readableSeconds.toFixed(1)} s
        </button>
      )}
      <button type="button" className={truncation ? 'btn q' : 'btn'} onClick={onChoose}>
        Choose another video
      </button>
    </ErrorMessage>
  );
}
