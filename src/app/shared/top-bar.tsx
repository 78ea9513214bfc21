import { useEngine, useServices, useView } from '../store/app-services';
import { PAGES } from '../store/pages';
import { nextTheme } from '../store/view';
import { formatBytes } from './format';
import { Icon, Mark } from './icon';

const THEME_ICON = { light: 'sun', dark: 'moon', system: 'screen' } as const;

/** Name, tabs, memory, model, theme and help. 48 px. */
export function TopBar() {
  const { view } = useServices();
  const theme = useView((state) => state.theme);
  const page = useView((state) => state.page);
  const training = useEngine((state) => state.training);
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
        {PAGES.map(({ name, label }) => (
          <a
            key={name}
            className={`tab ${name === page ? 'on' : ''}`}
            href={`#${name}`}
            aria-current={name === page ? 'page' : undefined}
          >
            {label}
            {name === 'train' && training && <i className="dot" title="A run is training" />}
          </a>
        ))}
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
        <ModelButton />
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
            className="ib help-button"
            aria-label="Keyboard keys"
            title="Keyboard keys (?)"
            onClick={() => view.setState({ dialog: 'help' })}
          >
            <Icon name="help" />
          </button>
        </div>
      </div>
    </header>
  );
}

function ModelButton() {
  const { view } = useServices();
  const model = useEngine((state) => state.model);
  const training = useEngine((state) => state.training);
  const { progress, info, recorded } = model;
  const percent =
    progress && progress.total > 0 ? `, ${Math.round((progress.done / progress.total) * 100)} %` : '';
  const state = {
    idle: 'not loaded',
    loading: `loading${percent}`,
    ready: recorded
      ? 'nothing is computed'
      : `${info ? `${formatBytes(info.weightBytes)}, ` : ''}${training ? 'training' : 'ready'}`,
    failed: 'not loaded',
  }[model.status];
  const dot = { idle: 'off', loading: 'w', ready: recorded ? 'off' : '', failed: 'e' }[model.status];
  const name = model.name || 'No model';
  return (
    <button
      type="button"
      className="pill"
      title="Models (M)"
      aria-haspopup="dialog"
      aria-label={`Model: ${name}, ${state}`}
      data-testid="model-chip"
      data-status={model.status}
      onClick={() => view.setState({ dialog: 'models' })}
    >
      <i className={`dot ${dot}`} />
      <span className="med ell">{name}</span>
      <span className="t3 sm pill-state">{state}</span>
      <Icon name="down" />
    </button>
  );
}
