import { ExportButton } from '../export/export-button';
import { formatBytes, formatDuration } from '../shared/format';
import { Icon } from '../shared/icon';
import { Segmented } from '../shared/segmented';
import { useEngine, useServices, useView } from '../store/app-services';
import { LETTERS } from '../store/draft';
import type { AnswerState } from '../store/engine-state';
import { FrameCanvas } from './frame-canvas';
import { askedTimes } from './group-facts';
import { useActions, useAskBlocker } from './use-actions';

/** Frames shown: with more of them, as many evenly chosen ones. */
const MOST_FRAMES = 8;

/** What all answers of a group share: frames, question, prefix. And how the group is shown. */
export function GroupHead({ answer }: { answer: AnswerState }) {
  const { view } = useServices();
  const { ask, stop } = useActions();
  const blocked = useAskBlocker() !== undefined;
  const layout = useView((state) => state.groupLayout);
  const full = useView((state) => state.groupFull);
  const running = answer.status === 'prefill' || answer.status === 'streaming';
  return (
    <header className="group-head">
      <Frames answer={answer} />
      <div className="group-question">
        <h2 title={answer.question.text}>{answer.question.text}</h2>
        <Options answer={answer} />
      </div>
      <Prefix answer={answer} />
      <div className="row group-controls">
        <Segmented
          label="Show the answers as"
          value={layout}
          options={[
            { value: 'columns', label: 'Columns' },
            { value: 'rows', label: 'Rows' },
            {
              value: 'differences',
              label: 'Differences',
              title: 'Dims what all answers share, and marks where they part',
            },
          ]}
          onChange={(value) => view.setState({ groupLayout: value })}
        />
        <ExportButton />
        <button
          type="button"
          className="btn group-full"
          aria-pressed={full}
          title={full ? 'Show video, question and settings (G)' : 'Give the answers the whole page (G)'}
          onClick={() => view.setState({ groupFull: !full })}
        >
          <Icon name="panel" />
          {full ? 'Question' : 'Full'}
        </button>
        {running ? (
          <button type="button" className="btn" data-testid="group-stop" onClick={stop}>
            <Icon name="stop" size={14} />
            Stop
          </button>
        ) : (
          <button type="button" className="btn p" disabled={blocked} onClick={() => ask(askedTimes(answer))}>
            Ask again
          </button>
        )}
      </div>
    </header>
  );
}

function Frames({ answer }: { answer: AnswerState }) {
  const video = useEngine((state) => state.video);
  if (!video || video.url !== answer.videoUrl || video.frames.length === 0) return <div />;
  const { frames } = video;
  const step = Math.max(1, (frames.length - 1) / (MOST_FRAMES - 1));
  const shown =
    frames.length <= MOST_FRAMES
      ? frames
      : Array.from({ length: MOST_FRAMES }, (_, place) => frames[Math.round(place * step)]!);
  return (
    <div className="group-frames" role="img" aria-label={`${frames.length} frames of ${video.name}`}>
      {shown.map(({ index, thumbnail }) => (
        <span key={index}>
          <FrameCanvas bitmap={thumbnail} />
        </span>
      ))}
    </div>
  );
}

function Options({ answer: { question, label } }: { answer: AnswerState }) {
  if (question.options.length === 0) return null;
  return (
    <ul className="group-options">
      {question.options.map((option, index) => (
        <li key={LETTERS[index]}>
          <b>{LETTERS[index]}</b> {option}
          {label === LETTERS[index] && <span className="t3"> (label)</span>}
        </li>
      ))}
    </ul>
  );
}

function Prefix({ answer }: { answer: AnswerState }) {
  const { group, promptTokens, samples, status, progress } = answer;
  const tokens = group?.prefixTokens ?? promptTokens;
  const prefillMs = group?.prefillMs ?? samples.find(({ stats }) => stats)?.stats?.prefillMs;
  const waiting = progress?.label ?? 'is being read';
  return (
    <div
      className="group-prefix"
      title={
        group &&
        `Keys and values in use: ${formatBytes(group.kvBytes)}, the prefix once and each answer's own part.`
      }
    >
      <b className="sm med">Shared prefix{tokens === undefined ? '' : `, ${tokens} tokens`}</b>
      <span className="t3 xs">
        {prefillMs !== undefined && status !== 'prefill'
          ? `read once in ${formatDuration(prefillMs)}, reused by ${samples.length} answers`
          : waiting}
      </span>
    </div>
  );
}
