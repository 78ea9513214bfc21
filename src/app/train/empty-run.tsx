import { PRESETS } from './presets';
import { choosePreset } from './setup-store';
import { useTraining, useTrainServices } from './train-services';

/** What stands in the middle before there is a run: what a run is, and the presets as buttons. */
export function EmptyRun() {
  const { setup } = useTrainServices();
  const none = useTraining(({ runs }) => runs !== undefined && runs.length === 0);
  return (
    <div className="empty-run" data-testid="empty-run">
      <h2 className="title">{none ? 'No runs yet' : 'A new run'}</h2>
      <p className="t2">
        A run asks the model the same question several times, scores the answers, and moves a small adapter
        towards the better ones. It happens on your GPU, in this tab. Choose how much, then press Start.
      </p>
      <ul>
        {PRESETS.filter(({ name }) => name !== 'yours').map(({ name, label, what }) => (
          <li key={name}>
            <button
              type="button"
              className="preset-button"
              onClick={() => setup.setState((state) => choosePreset(state, name), true)}
            >
              <b>{label}</b>
              <span className="t3 sm">{what}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
