import { useEngine } from '../store/app-services';
import { type GpuState, runningAnswer } from '../store/engine-state';

/** What runs the model, the promise about the video, and the keys that matter now. 28 px. */
export function StatusBar() {
  const gpu = useEngine((state) => state.gpu);
  const missing = useEngine((state) => state.errors.gpu?.code);
  const running = useEngine((state) => runningAnswer(state) !== undefined);
  const answered = useEngine((state) => state.answers.length > 0);
  const state = gpu
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
      {gpu && <span className="ell">{describeAdapter(gpu)}</span>}
      <span className="promise">Runs on this device. Your video stays in this tab.</span>
      <span className="sp row keys">
        {running ? (
          <Key name="Esc">stop</Key>
        ) : (
          answered && (
            <>
              <Key name="←→">token</Key>
              <Key name="A">next aha</Key>
            </>
          )
        )}
        <Key name="?">all keys</Key>
      </span>
    </footer>
  );
}

function describeAdapter({ adapter, f16, subgroups }: GpuState): string {
  const name = adapter.description || [adapter.vendor, adapter.architecture].filter(Boolean).join(' ');
  const { subgroupMinSize: min, subgroupMaxSize: max } = adapter;
  const sizes = min && max ? ` ${min === max ? min : `${min} to ${max}`}` : '';
  return [
    name,
    adapter.isFallback ? 'on the CPU, slow' : '',
    f16 ? 'f16 shaders' : 'f32 shaders only',
    subgroups ? `subgroups${sizes}` : 'no subgroups',
  ]
    .filter(Boolean)
    .join(', ');
}

function Key({ name, children }: { name: string; children: string }) {
  return (
    <span className="row key">
      <kbd className="kbd">{name}</kbd>
      {children}
    </span>
  );
}
