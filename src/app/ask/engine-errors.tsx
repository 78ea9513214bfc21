import type { EngineError, ErrorScope } from '../../worker/protocol';
import type { EngineClient } from '../engine-client';
import { chooseAgain, chooseModel, isPartKept } from '../models/choose-model';
import { ErrorMessage } from '../shared/message';
import { ProgressBar } from '../shared/progress-bar';
import { useDesk, useEngine, useModels, useServices } from '../store/app-services';
import { askedTimes } from './group-facts';
import { useActions, useAskBlocker } from './use-actions';

/** Codes of what a browser lacks: no model can run in it, and loading it again would not help. */
const NOT_HERE = ['insecure-context', 'no-webgpu', 'no-webcodecs', 'no-adapter'];

/** The engine's errors of the given scopes, each with its way out. */
export function EngineErrors({ scopes }: { scopes: readonly ErrorScope[] }) {
  const errors = useEngine((state) => state.errors);
  return scopes.map((scope) => {
    const error = errors[scope];
    return error && <OneError key={scope} error={error} />;
  });
}

function OneError({ error }: { error: EngineError }) {
  const reset = ['device-lost', 'device-recovered', 'cancelled'].includes(error.code);
  return (
    <ErrorMessage error={error} icon={error.scope === 'ask' ? 'x' : 'chip'} tone={reset ? 'warn' : 'err'}>
      <WayOut error={error} />
    </ErrorMessage>
  );
}

function WayOut({ error }: { error: EngineError }) {
  const services = useServices();
  const { client } = services;
  const { ask } = useActions();
  const blocked = useAskBlocker() !== undefined;
  const model = useEngine((state) => state.model);
  const chosen = useModels((models) => models.chosen);
  const kept = useDesk((desk) => desk.kept);
  if (error.code === 'device-lost') return <ProgressBar progress={model.progress} fallback="Loading again" />;
  const close = (
    <button type="button" className="btn q" onClick={() => client.dismiss(error.scope)}>
      Close
    </button>
  );
  // Asked again, it would still not be recorded: what is, is listed beside the answer.
  if (error.scope === 'ask' && error.code === 'not-recorded') return close;
  if (error.suggestions) return <Suggestions error={error} />;
  if (error.code === 'device-recovered' || error.scope === 'ask') {
    return (
      <>
        <button type="button" className="btn" disabled={blocked} onClick={() => ask(lastCount(client))}>
          Ask again
        </button>
        {close}
      </>
    );
  }
  // A model that could not be loaded, and the one before it goes on.
  const tried = client.lastTried();
  if (error.scope === 'model' && (model.status === 'ready' || tried))
    return (
      <>
        {tried && (
          <button type="button" className="btn" onClick={() => chooseAgain(services)}>
            {error.code !== 'cancelled' ? 'Try again' : isPartKept(tried, kept) ? 'Go on' : 'Load again'}
          </button>
        )}
        {close}
      </>
    );
  const notHere = NOT_HERE.includes(error.code);
  return (
    <>
      {notHere ? (
        <button type="button" className="btn" onClick={() => chooseModel(services, { kind: 'recorded' })}>
          See recorded answers
        </button>
      ) : (
        <button type="button" className="btn" onClick={() => client.restart()}>
          Load the model again
        </button>
      )}
      {!notHere && chosen.kind !== 'toy' && (
        <button type="button" className="btn q" onClick={() => chooseModel(services, { kind: 'toy' })}>
          Use the toy model
        </button>
      )}
      {error.scope === 'gpu' && (
        <button type="button" className="btn q" onClick={() => services.view.setState({ dialog: 'support' })}>
          Why
        </button>
      )}
      {model.status === 'ready' && close}
    </>
  );
}

/** As many answers as were asked for last. */
function lastCount(client: EngineClient): number | undefined {
  const last = client.store.getState().answers.at(-1);
  return last && askedTimes(last);
}

/** Settings that would work, each a button that takes it and asks again. */
function Suggestions({ error }: { error: EngineError }) {
  const { client, draft } = useServices();
  const { ask } = useActions();
  const blocked = useAskBlocker() !== undefined;
  const { num_generations, max_new_tokens } = error.suggestions ?? {};
  const again = (change: () => void, times: number | undefined) => () => {
    change();
    client.dismiss(error.scope);
    ask(times);
  };
  return (
    <>
      {num_generations !== undefined && (
        <button
          type="button"
          className="btn"
          disabled={blocked}
          onClick={again(() => draft.setState({ num_generations }), num_generations)}
        >{`Use ${num_generations} ${num_generations === 1 ? 'answer' : 'answers'}`}</button>
      )}
      {max_new_tokens !== undefined && (
        <button
          type="button"
          className={num_generations === undefined ? 'btn' : 'btn q'}
          disabled={blocked}
          onClick={again(
            () => draft.setState(({ settings }) => ({ settings: { ...settings, max_new_tokens } })),
            lastCount(client),
          )}
        >{`Use ${max_new_tokens} tokens`}</button>
      )}
      <button type="button" className="btn q" onClick={() => client.dismiss(error.scope)}>
        Close
      </button>
    </>
  );
}
