import { Icon } from '../shared/icon';
import { useDraft, useServices } from '../store/app-services';
import { type Draft, editDraft, LETTERS } from '../store/draft';

/** The options A to E: text, the label of the right one, adding and removing. */
export function OptionList({ locked }: { locked: boolean }) {
  const { draft } = useServices();
  const options = useDraft((state) => state.options);
  const label = useDraft((state) => state.label);
  const change = (edit: (state: Draft) => Draft) => draft.setState(edit(draft.getState()), true);
  return (
    <fieldset className="opts">
      <legend className="hidden">Options</legend>
      {options.map((option, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: an option is its letter
        <div className="opt" key={index}>
          <b aria-hidden="true">{LETTERS[index]}</b>
          <input
            aria-label={`Option ${LETTERS[index]}`}
            value={option}
            placeholder="option"
            readOnly={locked}
            onChange={(event) =>
              change((state) => editDraft(state, { options: state.options.with(index, event.target.value) }))
            }
          />
          <button
            type="button"
            className={`opt-label ${label === index ? 'on' : ''}`}
            aria-pressed={label === index}
            aria-label={`Option ${LETTERS[index]} is right`}
            title="Mark as the right answer, to see if the model finds it"
            disabled={locked}
            onClick={() => change((state) => toggleLabel(state, index))}
          >
            <Icon name="check" size={12} />
            label
          </button>
          {options.length > 2 && !locked && (
            <button
              type="button"
              className="opt-remove"
              aria-label={`Remove option ${LETTERS[index]}`}
              onClick={() => change((state) => removeOption(state, index))}
            >
              <Icon name="x" size={12} />
            </button>
          )}
        </div>
      ))}
      {label === undefined && options.some((option) => option.trim() !== '') && (
        <p className="t3 xs opt-hint">Mark the right option, and every answer gets its reward.</p>
      )}
      {options.length < LETTERS.length && !locked && (
        <button
          type="button"
          className="opt-add t3"
          onClick={() => change((state) => ({ ...state, options: [...state.options, ''] }))}
        >
          <Icon name="plus" size={14} />
          Add option {LETTERS[options.length]}
        </button>
      )}
    </fieldset>
  );
}

function toggleLabel(draft: Draft, index: number): Draft {
  const { label, ...rest } = draft;
  return label === index ? rest : { ...rest, label: index };
}

function removeOption(draft: Draft, index: number): Draft {
  const { label, ...rest } = draft;
  const options = draft.options.toSpliced(index, 1);
  // The label stays with its option: the words are the same, only the letters move up.
  if (label === undefined || label === index) return { ...rest, options, fromSample: false };
  return { ...rest, options, fromSample: false, label: label > index ? label - 1 : label };
}
