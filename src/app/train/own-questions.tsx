import { useId, useRef, useState } from 'react';
import { splitProblem, writeQuestionFile } from '../../data/question-file';
import { download } from '../shared/download';
import { Icon } from '../shared/icon';
import { LETTERS } from '../store/draft';
import { findClips } from './setup-store';
import { useSetup, useTrainServices } from './train-services';

/** Questions that the user writes about clips of their own, and their export in the original's format. */
export function OwnQuestions() {
  const { setup } = useTrainServices();
  const own = useSetup((state) => state.own);
  const lost = useSetup((state) => state.lost);
  const [writing, setWriting] = useState(own.length + lost.length === 0);
  const exportAll = () => {
    const lines = [...own, ...lost].map(({ problem, label, video_filename }) => ({
      problem,
      solution: `<answer>${label}</answer>`,
      video_filename,
    }));
    download('questions.jsonl', new Blob([writeQuestionFile(lines)], { type: 'application/jsonl' }));
  };
  return (
    <div className="own" data-testid="own-questions">
      <ul>
        {own.map((question, place) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: two of them may be equal
          <li key={place} className="row">
            <b className="xs">{question.label}</b>
            <span className="xs ell" title={`${question.problem}\n${question.video_filename}`}>
              {splitProblem(question.problem).question}
            </span>
            <button
              type="button"
              className="ib small sp"
              aria-label={`Remove question ${place + 1}`}
              onClick={() => setup.setState({ own: own.filter((one) => one !== question) })}
            >
              <Icon name="x" size={13} />
            </button>
          </li>
        ))}
      </ul>
      {lost.length > 0 && <LostClips />}
      {writing ? (
        <QuestionForm onDone={() => setWriting(false)} />
      ) : (
        <div className="row">
          <button type="button" className="btn small" onClick={() => setWriting(true)}>
            <Icon name="plus" size={13} />
            Question
          </button>
          <button
            type="button"
            className="btn q small"
            disabled={own.length + lost.length === 0}
            title="problem, solution and video_filename, a line each; the clips are not in it"
            onClick={exportAll}
          >
            <Icon name="download" size={13} />
            JSONL
          </button>
        </div>
      )}
    </div>
  );
}

/** Questions of an earlier visit, and a way to their clips. */
function LostClips() {
  const { setup } = useTrainServices();
  const lost = useSetup((state) => state.lost);
  const picker = useRef<HTMLInputElement>(null);
  const names = [...new Set(lost.map(({ video_filename }) => video_filename))].join(', ');
  return (
    <div className="own-form" data-testid="lost-clips">
      <p className="xs t2" role="status">
        {lost.length === 1 ? '1 question is' : `${lost.length} questions are`} kept from before, without the
        clips: choose {names} again.
      </p>
      <div className="row">
        <button type="button" className="btn small" onClick={() => picker.current?.click()}>
          <Icon name="file" size={13} />
          Choose the clips
        </button>
        <button type="button" className="btn q small" onClick={() => setup.setState({ lost: [] })}>
          Remove
        </button>
      </div>
      <input
        ref={picker}
        type="file"
        multiple
        hidden
        accept="video/*,.mkv"
        aria-label="Clips of earlier questions"
        onChange={(event) => {
          const clips = [...(event.target.files ?? [])];
          setup.setState((before) => findClips(before, clips));
          event.target.value = '';
        }}
      />
    </div>
  );
}

function QuestionForm({ onDone }: { onDone: () => void }) {
  const id = useId();
  const { setup } = useTrainServices();
  const own = useSetup((state) => state.own);
  // A second question is often about the same clip.
  const [clip, setClip] = useState<{ file: Blob; name: string } | undefined>(() => {
    const last = own.at(-1);
    return last && { file: last.clip, name: last.video_filename };
  });
  const [text, setText] = useState('');
  const [options, setOptions] = useState<string[]>(['', '', '', '']);
  const [right, setRight] = useState<number>();
  const [problem, setProblem] = useState<string>();
  const picker = useRef<HTMLInputElement>(null);
  const add = () => {
    const given = options.map((option) => option.trim());
    while (given.at(-1) === '') given.pop();
    const wrong = !clip
      ? 'Choose the clip that it is about.'
      : text.trim() === ''
        ? 'Write the question.'
        : given.length < 2 || given.includes('')
          ? 'Write at least two options, without gaps.'
          : right === undefined || right >= given.length
            ? 'Mark the right option.'
            : undefined;
    setProblem(wrong);
    if (wrong || !clip || right === undefined) return;
    const lines = given.map((option, place) => `${LETTERS[place]}. ${option}`);
    setup.setState({
      own: [
        ...own,
        {
          problem: `${text.trim()}\nOptions:\n${lines.join('\n')}`,
          label: LETTERS[right]!,
          clip: clip.file,
          video_filename: clip.name,
        },
      ],
    });
    onDone();
  };
  return (
    <div className="own-form">
      <button type="button" className="btn small" onClick={() => picker.current?.click()}>
        <Icon name="file" size={13} />
        <span className="ell">{clip?.name ?? 'Choose a clip'}</span>
      </button>
      <input
        ref={picker}
        type="file"
        hidden
        accept="video/*,.mkv"
        aria-label="Clip"
        data-testid="own-clip"
        onChange={(event) => {
          const [file] = event.target.files ?? [];
          if (file) setClip({ file, name: file.name });
          event.target.value = '';
        }}
      />
      <textarea
        aria-label="Question"
        placeholder="Question"
        rows={2}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      {options.map((option, place) => (
        <div key={LETTERS[place]} className="row own-option">
          <label className="check xs" title="The right one">
            <input
              type="radio"
              name={id}
              aria-label={`${LETTERS[place]} is right`}
              checked={right === place}
              onChange={() => setRight(place)}
            />
            {LETTERS[place]}
          </label>
          <input
            className="in"
            type="text"
            aria-label={`Option ${LETTERS[place]}`}
            value={option}
            onChange={(event) => setOptions(options.with(place, event.target.value))}
          />
        </div>
      ))}
      {problem && (
        <p className="field-problem" role="status">
          {problem}
        </p>
      )}
      <div className="row">
        <button type="button" className="btn small" onClick={add}>
          Add the question
        </button>
        {own.length > 0 && (
          <button type="button" className="btn q small" onClick={onDone}>
            Cancel
          </button>
        )}
      </div>
    </div>
  );
}
