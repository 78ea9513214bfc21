import { useEngine, useServices, useView } from '../store/app-services';
import { BASE, usableAdapters } from '../store/engine-state';

/** Which of the loaded adapters answer, beside the base or in its place. Nothing where none is loaded. */
export function AdapterChoice({ locked }: { locked: boolean }) {
  const { view } = useServices();
  const adapters = useEngine((state) => state.adapters);
  const asked = useView((state) => state.askAdapters);
  const chosen = usableAdapters({ adapters }, asked);
  const trained = adapters.filter(({ adapter }) => adapter !== BASE);
  if (trained.length === 0) return null;
  const all = [{ adapter: BASE, name: 'base' }, ...trained];
  const toggle = (id: string) => {
    const next = all
      .map(({ adapter }) => adapter)
      .filter((adapter) => (adapter === id ? !chosen.includes(id) : chosen.includes(adapter)));
    // Something has to answer.
    if (next.length > 0) view.setState({ askAdapters: next });
  };
  return (
    <fieldset className="adapters row" disabled={locked} data-testid="adapters">
      <legend className="hidden">Answer with</legend>
      <span className="t3 xs" aria-hidden="true">
        Answer with
      </span>
      {all.map(({ adapter, name }) => (
        <label
          key={adapter}
          className="check sm"
          title={adapter === BASE ? 'The model without an adapter' : name}
        >
          <input type="checkbox" checked={chosen.includes(adapter)} onChange={() => toggle(adapter)} />
          <span className="ell">{name}</span>
        </label>
      ))}
    </fieldset>
  );
}
