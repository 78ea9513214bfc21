import type { EngineError, ErrorScope } from '../../worker/protocol';
import { ErrorMessage } from '../shared/message';
import { ProgressBar } from '../shared/progress-bar';
import { useEngine, useServices } from '../store/app-services';
import { useActions, useAskBlocker } from './use-actions';

/** The engine's errors of the given scopes, each with its way out. */
export function EngineErrors({ scopes }: { scopes: readonly ErrorScope[] }) {
  const errors = useEngine((state) => state.errors);
  return scopes.map((scope) => {
    const error = errors[scope];
    return error && <OneError key={scope} error={error} />;
  });
}

function OneError({ error }: { error: EngineError }) {
  const reset = error.code === 'device-lost' || error.code === 'device-recovered';
  return (
    <ErrorMessage error={error} icon={error.scope === 'ask' ? 'x' : 'chip'} tone={reset ? 'warn' : 'err'}>
      <WayOut error={error} />
    </ErrorMessage>
  );
}

function WayOut({ error }: { error: EngineError }) {
  const { client } = useServices();
  const { ask } = useActions();
  const blocked = useAskBlocker() !== undefined;
  const model = useEngine((state) => state.model);
  if (error.code === 'no-webgpu') {
    return (
      <details>
        <summary>Why</summary>
        <p>
          The model is arithmetic on a few million to a few billion numbers, and only the GPU does that fast
          enough. Use Chrome or Edge 113 or newer on a desktop, or Safari 26. In Chrome, chrome://gpu says
          whether WebGPU is switched off for your graphics driver.
        </p>
      </details>
    );
  }
  if (error.code === 'device-lost') return <ProgressBar progress={model.progress} fallback="Loading again" />;
  const close = (
    <button type="button" className="btn q" onClick={() => client.dismiss(error.scope)}>
      Close
    </button>
  );
  if (error.code === 'device-recovered' || error.scope === 'ask') {
    return (
      <>
        <button type="button" className="btn" disabled={blocked} onClick={() => ask()}>
          Ask again
        </button>
        {close}
      </>
    );
  }
  return (
    <>
      <button type="button" className="btn" onClick={() => client.restart()}>
        Load the model again
      </button>
      {model.status === 'ready' && close}
    </>
  );
}
