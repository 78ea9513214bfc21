import { useId } from 'react';
import { Icon } from '../shared/icon';
import { Segmented } from '../shared/segmented';
import { useDraft, useEngine, useServices, useView } from '../store/app-services';
import { editDraft } from '../store/draft';
import { runningAnswer } from '../store/engine-state';
import { OptionList } from './option-list';
import { applySampleQuestion } from './samples';

/** The question and, for multiple choice, its options. Locked while an answer is written. */
export function QuestionEditor() {
  const { draft } = useServices();
  const id = useId();
  const mode = useDraft((state) => state.mode);
  const text = useDraft((state) => state.text);
  const reasoning = useDraft((state) => state.reasoning);
  const locked = useEngine((state) => runningAnswer(state) !== undefined);
  return (
    <>
      <div className="row question-head">
        <h2 className="h">
          <label htmlFor={id}>Question</label>
        </h2>
        <NextQuestion locked={locked} />
        <label className="check sp" title="On: think first, then answer. Off: answer at once.">
          <input
            type="checkbox"
            checked={reasoning}
            disabled={locked}
            onChange={(event) => draft.setState({ reasoning: event.target.checked })}
          />
          Reasoning
        </label>
        <Segmented
          label="Kind of question"
          value={mode}
          disabled={locked}
          options={[
            { value: 'choice', label: 'Multiple choice' },
            { value: 'free', label: 'Free text' },
          ]}
          onChange={(value) => draft.setState({ mode: value })}
        />
      </div>
      <textarea
        id={id}
        className="qbox"
        data-testid="question"
        placeholder="What do you want to know about the video?"
        rows={1}
        value={text}
        readOnly={locked}
        onChange={(event) => draft.setState(editDraft(draft.getState(), { text: event.target.value }), true)}
      />
      {mode === 'choice' && <OptionList locked={locked} />}
    </>
  );
}

function NextQuestion({ locked }: { locked: boolean }) {
  const { draft } = useServices();
  const questions = useView((view) => view.sample?.questions);
  const text = useDraft((state) => state.text);
  if (!questions || questions.length === 0) return null;
  const at = questions.findIndex((question) => question.question === text);
  if (at >= 0 && questions.length === 1) return null;
  const next = questions[(at + 1) % questions.length]!;
  return (
    <button
      type="button"
      className="btn q small"
      disabled={locked}
      title={next.question}
      onClick={() => applySampleQuestion(draft, next)}
    >
      <Icon name="dice" size={14} />
      {at >= 0 ? `${at + 1} of ${questions.length}` : 'Sample question'}
    </button>
  );
}
