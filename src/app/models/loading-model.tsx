import { formatBytes } from '../shared/format';
import { Icon } from '../shared/icon';
import { ProgressBar } from '../shared/progress-bar';
import { useDesk, useEngine, useServices } from '../store/app-services';
import { chosenOf } from './choose-model';
import { aboutTime, loadSpeed, secondsLeft } from './load-speed';

/** The load under way: bytes, speed, time left, and its end. */
export function LoadingModel() {
  const { client, view } = useServices();
  const next = useEngine((state) => state.nextModel);
  const current = useEngine((state) => state.model);
  const before = useEngine((state) => state.previousModel?.name);
  const samples = useDesk((desk) => desk.samples);
  const model = next ?? current;
  const chosen = chosenOf(model);
  const { progress } = model;
  const stoppable = chosen.kind !== 'toy' && chosen.kind !== 'recorded';
  const speed = loadSpeed(samples);
  const left = secondsLeft(samples);
  const disk = model.source.kind === 'kept';
  return (
    <section className="loading-model" aria-label="Model being loaded" data-testid="loading-model">
      <h3 className="title">{model.name}</h3>
      {progress?.bytes ? (
        <>
          <div className="loading-figures">
            <p>
              <span className="big">{formatBytes(progress.done)}</span>
              <span className="t2"> of {formatBytes(progress.total)}</span>
            </p>
            <p>
              <span className="med">
                {left === undefined ? 'Measuring the speed' : `${aboutTime(left)} left`}
              </span>
              {speed !== undefined && <span className="t3 sm">{formatBytes(Math.round(speed))}/s now</span>}
            </p>
          </div>
          <ProgressBar progress={progress} fallback="Loading the weights" />
        </>
      ) : (
        <ProgressBar progress={progress} fallback="Loading the model" />
      )}
      {stoppable && (
        <div className="plan-end">
          <p className="t2 sm">
            {disk
              ? 'Its files are in this browser. '
              : 'Stop, or close this tab: what was loaded is kept, and it goes on from there. '}
            {next
              ? `${current.name} answers until it is there.`
              : before && `${before} is back where you stop.`}
          </p>
          <button type="button" className="btn" onClick={() => client.desk.cancelLoad()}>
            <Icon name="stop" size={14} />
            Stop
          </button>
          <button type="button" className="btn" onClick={() => view.setState({ dialog: undefined })}>
            {next ? `Keep asking ${inSentence(current.name)}` : 'Close, and load on'}
          </button>
        </div>
      )}
    </section>
  );
}

/** A model's name inside of a sentence. */
function inSentence(name: string): string {
  return name === 'Toy model' ? 'the toy model' : name;
}
