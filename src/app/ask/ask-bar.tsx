import { MAX_GENERATIONS } from '../../worker/protocol';
import { Icon } from '../shared/icon';
import { NumberField } from '../shared/number-field';
import { Stepper } from '../shared/stepper';
import { useDraft, useEngine, useServices } from '../store/app-services';
import { SETTING_BOUNDS, settingProblem } from '../store/draft';
import { runningAnswer } from '../store/engine-state';
import { AdapterChoice } from './adapter-choice';
import { PromptRow } from './prompt-row';
import { useActions, useAskBlocker } from './use-actions';

const FIELDS = [
  { name: 'temperature', label: 'Temperature', hint: '0 takes the most probable token each time (greedy).' },
  { name: 'top_k', label: 'Top-k', hint: 'Draw from the k most probable tokens. 0 keeps all.' },
  {
    name: 'top_p',
    label: 'Top-p',
    hint: 'Draw from the most probable tokens that add up to p. 1 keeps all.',
  },
  { name: 'max_new_tokens', label: 'Max tokens', hint: 'The answer is cut off after so many tokens.' },
  { name: 'seed', label: 'Seed', hint: 'The same seed, settings and adapter give the same answer.' },
] as const;

/** Prompt length, settings, and Ask or Stop. */
export function AskBar() {
  const { draft } = useServices();
  const { ask, stop } = useActions();
  const settings = useDraft((state) => state.settings);
  const generations = useDraft((state) => state.num_generations);
  const running = useEngine((state) => runningAnswer(state) !== undefined);
  const blocker = useAskBlocker();
  // Beside the number that is set, one press away: the most, or where that is it, one.
  const other = generations === MAX_GENERATIONS ? 1 : MAX_GENERATIONS;
  return (
    <div className="ask-bar">
      <PromptRow locked={running} />
      <AdapterChoice locked={running} />
      <div className="params">
        <Stepper
          label="Answers, G"
          hint="So many answers are written at once, each with its own luck. The frames and the question are read once."
          value={generations}
          min={1}
          max={MAX_GENERATIONS}
          disabled={running}
          onChange={(value) => draft.setState({ num_generations: value })}
        />
        {FIELDS.map(({ name, label, hint }) => (
          <NumberField
            key={name}
            label={label}
            hint={hint}
            value={settings[name]}
            bounds={SETTING_BOUNDS[name]}
            problem={(value) => settingProblem(name, value)}
            disabled={running}
            onChange={(value) => draft.setState({ settings: { ...settings, [name]: value } })}
          />
        ))}
      </div>
      {running ? (
        <button type="button" className="btn lg wide" data-testid="stop" onClick={stop}>
          <Icon name="stop" size={14} />
          Stop
          <kbd className="kbd">Esc</kbd>
        </button>
      ) : (
        <>
          <div className="row ask-buttons">
            <button
              type="button"
              className="btn p lg grow"
              data-testid="ask"
              disabled={blocker !== undefined}
              aria-describedby={blocker ? 'ask-blocker' : undefined}
              onClick={() => ask()}
            >
              {generations > 1 ? `Ask ${generations} times` : 'Ask'}
              <kbd className="kbd">{IS_APPLE ? '⌘ ↵' : 'Ctrl ↵'}</kbd>
            </button>
            <button
              type="button"
              className="btn lg"
              data-testid="ask-other"
              disabled={blocker !== undefined}
              onClick={() => ask(other)}
            >
              {other === 1 ? 'Ask once' : `Ask ${other} times`}
            </button>
          </div>
          {blocker && (
            <p id="ask-blocker" className="t3 sm blocker" role="status">
              {blocker}
            </p>
          )}
        </>
      )}
    </div>
  );
}

const IS_APPLE = /Mac|iPhone|iPad/.test(globalThis.navigator?.userAgent ?? '');
