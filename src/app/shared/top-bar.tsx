import { useEngine, useServices, useView } from '../store/app-services';
import { nextTheme } from '../store/view';
import { formatBytes } from './format';
import { Icon, Mark } from './icon';

const THEME_ICON = { light: 'sun', dark: 'moon', system: 'screen' } as const;

/** Name, tabs, memory, model, theme and help. 48 px. */
export function TopBar() {
  const { view } = useServices();
  const theme = useView((state) => state.theme);
  const memory = useEngine((state) => state.memory);
  return (
    <header className="top">
      <div className="brand">
        <Mark />
        <h1>
          TinyLLaVA-Video-R1 <span>playground</span>
        </h1>
      </div>
      <nav className="tabs" aria-label="Pages">
        <a className="tab on" href="#ask" aria-current="page">
          Ask
        </a>
      </nav>
      <div className="row sp top-right">
        {memory && (
          <span
            className="memory"
            title={`Counted by the page from its own buffers. Peak ${formatBytes(memory.peakBytes)}.`}
          >
            GPU memory <b>{formatBytes(memory.bytes)}</b>
          </span>
        )}
        <ModelChip />
        <div className="row icons">
          <button
            type="button"
            className="ib"
            aria-label={`Theme: ${theme}. Change to ${nextTheme(theme)}`}
            title={`Theme: ${theme} (D)`}
            onClick={() => view.setState({ theme: nextTheme(theme) })}
          >
            <Icon name={THEME_ICON[theme]} />
          </button>
          <button
            type="button"
            className="ib"
            aria-label="Keyboard keys"
            title="Keyboard keys (?)"
            onClick={() => view.setState({ helpOpen: true })}
          >
            <Icon name="help" />
          </button>
        </div>
      </div>
    </header>
  );
}

function ModelChip() {
  const model = useEngine((state) => state.model);
  const { progress, info } = model;
  const percent =
    progress && progress.total > 0 ? `, ${Math.round((progress.done / progress.total) * 100)} %` : '';
  const state = {
    idle: 'not loaded',
    loading: `loading${percent}`,
    ready: info ? `${formatBytes(info.weightBytes)}, ready` : 'ready',
    failed: 'not loaded',
  }[model.status];
  const dot = { idle: 'off', loading: 'w', ready: '', failed: 'e' }[model.status];
  const title = info
    ? `${info.parameters.toLocaleString('en')} parameters, ${info.frames} frames, ${info.visualTokens} visual tokens, dense layers: ${info.backend}`
    : undefined;
  return (
    <span className="pill" title={title} data-testid="model-chip" data-status={model.status}>
      <i className={`dot ${dot}`} />
      <span className="med">{model.name || 'No model'}</span>
      <span className="t3 sm pill-state">{state}</span>
    </span>
  );
}
