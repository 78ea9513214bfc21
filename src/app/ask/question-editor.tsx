import { useId } from 'react';
import { Segmented } from '../shared/segmented';
import { useDraft, useEngine, useServices } from '../store/app-services';
import { editDraft } from '../store/draft';
import { runningAnswer } from '../store/engine-state';
import { OptionList } from './option-list';
import { applySampleQuestion, useOpenSample } from './samples';

/** The question and, for multiple choice, its options. Locked while an answer is written. */
export function QuestionEditor() {
  const { draft } = useServices();
  const id = useId();
  const mode = useDraft((state) => state.mode);
  const text = useDraft((state) => state.text);
  const locked = useEngine((state) => runningAnswer(state) !== undefined);
  return (
    <>
      <div className="row question-head">
        <h2 className="h">
          <label htmlFor={id}>Question</label>
        </h2>
        <SampleQuestions locked={locked} />
        <span className="sp" />
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

/** The questions that came with the clip, to choose from. */
function SampleQuestions({ locked }: { locked: boolean }) {
  const { draft } = useServices();
  const questions = useOpenSample()?.questions;
  const text = useDraft((state) => state.text);
  if (!questions || questions.length === 0) return null;
  const at = questions.findIndex((question) => question.question === text);
  return (
    <select
      className="in pick"
      aria-label="Question of this clip"
      data-testid="sample-question"
      disabled={locked}
      value={at}
      onChange={(event) => {
        const chosen = questions[Number(event.target.value)];
        if (chosen) applySampleQuestion(draft, chosen);
      }}
    >
      <option value={-1} disabled hidden>
        {questions.length} questions of this clip
      </option>
      {questions.map((question, index) => (
        <option key={question.question} value={index}>
          {question.question}
        </option>
      ))}
    </select>
  );
}
