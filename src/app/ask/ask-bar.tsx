import { Icon } from '../shared/icon';
import { NumberField } from '../shared/number-field';
import { useDraft, useEngine, useServices } from '../store/app-services';
import { SETTING_BOUNDS, settingProblem } from '../store/draft';
import { runningAnswer } from '../store/engine-state';
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
  const running = useEngine((state) => runningAnswer(state) !== undefined);
  const blocker = useAskBlocker();
  return (
    <div className="ask-bar">
      <PromptLength />
      <div className="params">
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
          <button
            type="button"
            className="btn p lg wide"
            data-testid="ask"
            disabled={blocker !== undefined}
            aria-describedby={blocker ? 'ask-blocker' : undefined}
            onClick={() => ask()}
          >
            Ask
            <kbd className="kbd">{IS_APPLE ? '⌘ ↵' : 'Ctrl ↵'}</kbd>
          </button>
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

function PromptLength() {
  const info = useEngine((state) => state.model.info);
  const prompt = useEngine((state) => state.answers.at(-1)?.promptTokens);
  if (!info) return null;
  if (prompt === undefined) {
    return (
      <div className="row xs t3 prompt-length">
        <span>Prompt</span>
        <span className="sp">
          {info.visualTokens} tokens from {info.frames} frames, text counted when asked
        </span>
      </div>
    );
  }
  const share = Math.min(1, info.visualTokens / prompt) * 100;
  return (
    <div className="prompt-length">
      <div className="row xs t3">
        <span>Prompt, {prompt} tokens</span>
        <span className="sp">
          {info.visualTokens} from {info.frames} frames, {prompt - info.visualTokens} text
        </span>
      </div>
      <div className="bar" aria-hidden="true">
        <i className="visual" style={{ width: `${share}%` }} />
        <i className="grow" />
      </div>
    </div>
  );
}
