import { useEngine } from '../store/app-services';
import type { ModelState as Model } from '../store/engine-state';
import { chosenOf } from './choose-model';
import type { ChosenModel } from './model-store';

/** The model that answers or is loaded, where it is the one that `is` says; undefined for the other rows. */
export function useRowModel(is: (chosen: ChosenModel) => boolean): Model | undefined {
  const model = useEngine((state) => state.model);
  const next = useEngine((state) => state.nextModel);
  return [next, model].find((one) => one && one.status !== 'idle' && is(chosenOf(one)));
}

/** A dot and, for the model in use or being loaded, a word: loading with its percentage, in use, not loaded. */
export function ModelState({ model }: { model: Model | undefined }) {
  if (!model || model.status === 'idle') return <i className="dot off" />;
  const { status, progress } = model;
  const percent =
    progress && progress.total > 0 ? ` ${Math.round((progress.done / progress.total) * 100)} %` : '';
  const dot = { loading: 'w', ready: '', failed: 'e' }[status];
  const word = { loading: `loading${percent}`, ready: 'in use', failed: 'not loaded' }[status];
  return (
    <>
      <i className={`dot ${dot}`} />
      <span className={`chip ${status === 'ready' ? 'ok' : status === 'failed' ? 'err' : 'n'}`}>{word}</span>
    </>
  );
}
