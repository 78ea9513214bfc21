import { useEngine } from '../store/app-services';

/** A dot and, for the model in use, a word: loading with its percentage, in use, not loaded. */
export function ModelState({ inUse }: { inUse: boolean }) {
  const { status, progress } = useEngine((state) => state.model);
  if (!inUse) return <i className="dot off" />;
  const percent =
    progress && progress.total > 0 ? ` ${Math.round((progress.done / progress.total) * 100)} %` : '';
  const dot = { idle: 'off', loading: 'w', ready: '', failed: 'e' }[status];
  const word = { idle: '', loading: `loading${percent}`, ready: 'in use', failed: 'not loaded' }[status];
  return (
    <>
      <i className={`dot ${dot}`} />
      <span className={`chip ${status === 'ready' ? 'ok' : status === 'failed' ? 'err' : 'n'}`}>{word}</span>
    </>
  );
}
