import { useBench, useDesk, useEngine, useGroupShown, useServices, useView } from '../store/app-services';
import { runningAnswer } from '../store/engine-state';
import { describeAdapter, formatBytes } from './format';

/** What runs the model, the promise about the video, and the keys that matter now. 28 px. */
export function StatusBar() {
  const gpu = useEngine((state) => state.gpu);
  const missing = useEngine((state) => state.errors.gpu?.code);
  const running = useEngine((state) => runningAnswer(state) !== undefined);
  const training = useEngine((state) => state.training);
  const group = useGroupShown();
  const answered = useEngine((state) => state.answers.length > 0);
  const recorded = useEngine(({ model }) => model.recorded);
  const page = useView((view) => view.page);
  const switchedOff = useBench(({ selfTest }) => selfTest?.off.length ?? 0);
  const state = recorded
    ? 'Recorded'
    : gpu
      ? 'WebGPU'
      : missing === 'no-webgpu'
        ? 'No WebGPU'
        : missing
          ? 'No GPU'
          : 'Opening the GPU';
  return (
    <footer className="status">
      <span className="row status-gpu">
        <i
          className={`dot ${missing && !missing.startsWith('device-') ? 'e' : gpu && missing !== 'device-lost' ? '' : 'w'}`}
        />
        <b>{state}</b>
      </span>
      {gpu && !recorded && <span className="ell">{describeAdapter(gpu)}</span>}
      {switchedOff > 0 && (
        <a className="chip warn" href="#bench">
          Some kernels failed their self-test; others run instead
        </a>
      )}
      <ModelNote />
      <span className="promise">
        {recorded
          ? 'Recorded answers are played again. Nothing is computed.'
          : 'Runs on this device. Your video stays in this tab.'}
      </span>
      <span className="sp row keys">
        {page === 'bench' && (
          <>
            <Key name="B">measure</Key>
            <Key name="T">self-test</Key>
          </>
        )}
        {page === 'train' && training && (
          <>
            <Key name="P">pause</Key>
            <Key name="S">save now</Key>
            <Key name="G">group full screen</Key>
          </>
        )}
        {running ? (
          <Key name="Esc">stop</Key>
        ) : (
          page === 'ask' &&
          answered &&
          (group ? (
            <>
              <Key name="1–8">focus answer</Key>
              <Key name="R">sort by reward</Key>
              <Key name="A">next aha</Key>
              <Key name="G">question</Key>
            </>
          ) : (
            <>
              <Key name="←→">token</Key>
              <Key name="A">next aha</Key>
              <Key name="F">fork</Key>
            </>
          ))
        )}
        <Key name="?">all keys</Key>
      </span>
    </footer>
  );
}

/** A word about a model that was not kept, or that waits for its plan to be seen. */
function ModelNote() {
  const { view } = useServices();
  const hidden = useView((state) => state.dialog === 'models');
  const loaded = useEngine(({ model }) => model.id);
  const loading = useEngine(({ nextModel }) => {
    if (!nextModel) return undefined;
    const { done = 0, total = 0 } = nextModel.progress ?? {};
    return `${nextModel.name}: loading${total > 0 ? ` ${Math.floor((done / total) * 100)} %` : ''}`;
  });
  const planned = useDesk(({ plan, notKept }) => {
    if (plan?.plan) return `${plan.of.name}: ${formatBytes(plan.plan.download)} to load. See the plan`;
    if (plan?.error) return `${plan.of.name} cannot be loaded`;
    return notKept?.id === loaded ? 'The model is not kept for the next visit' : undefined;
  });
  const note = loading ?? planned;
  if (!note || hidden) return null;
  return (
    <button
      type="button"
      className={`chip ${loading ? 'n' : 'warn'}`}
      onClick={() => view.setState({ dialog: 'models' })}
    >
      {note}
    </button>
  );
}

function Key({ name, children }: { name: string; children: string }) {
  return (
    <span className="row key">
      <kbd className="kbd">{name}</kbd>
      {children}
    </span>
  );
}
