import type { RunState } from '../../worker/training-protocol';
import { Icon } from '../shared/icon';
import { useEngine } from '../store/app-services';
import type { Planned } from './memory-plan';
import { PRESETS } from './presets';
import { paceText, STATE_CHIP } from './run-facts';
import { useLive, useRecord, useSetup, useTraining, useTrainServices } from './train-services';
import { canResume, isActive, type LiveRun, type RunRecord } from './training-state';
import { startBlocker, useRunActions } from './use-run-actions';

/** Name, state and pace of the run that is shown, and what can be done with it; or the start of a new one. */
export function RunHeader({ planned }: { planned: Planned }) {
  const record = useRecord();
  return record ? <ShownRun record={record} /> : <NewRun planned={planned} />;
}

function NewRun({ planned: { plan, of } }: { planned: Planned }) {
  const train = useTrainServices();
  const { start, nextName } = useRunActions();
  const setup = useSetup((state) => state);
  const busy = useTraining(({ live }) => isActive(live));
  const beginning = useTraining((state) => state.beginning);
  const blocker = useEngine((state) => startBlocker(state, train));
  const reason = busy
    ? 'Another run is training. Pause it first.'
    : beginning
      ? 'The run is being set up.'
      : (blocker ??
        (of === setup.config && plan?.impossible
          ? 'Not even one answer has room on this GPU. Choose a smaller model or rank.'
          : undefined));
  const preset = PRESETS.find(({ name }) => name === setup.preset);
  return (
    <header className="run-head">
      <div className="run-name">
        <input
          className="in run-title"
          type="text"
          aria-label="Name of the run"
          placeholder={nextName()}
          maxLength={80}
          value={setup.name}
          onChange={(event) => train.setup.setState({ name: event.target.value })}
        />
        <span className="sm t3 ell">
          {preset?.label}, {setup.config.grpo.max_steps} steps
        </span>
      </div>
      <span className="sp row run-buttons">
        {reason && (
          <span id="start-blocker" className="xs t3" role="status">
            {reason}
          </span>
        )}
        <button
          type="button"
          className="btn p"
          data-testid="start-run"
          disabled={reason !== undefined}
          aria-describedby={reason ? 'start-blocker' : undefined}
          onClick={start}
        >
          <Icon name="play" size={14} />
          Start
        </button>
      </span>
    </header>
  );
}

function ShownRun({ record }: { record: RunRecord }) {
  const { training } = useTrainServices();
  const actions = useRunActions();
  const live = useLive();
  const otherActive = useTraining((state) => isActive(state.live) && state.live?.run !== state.shown);
  const beginning = useTraining((state) => state.beginning === true);
  const { run, lines, config } = record;
  const state = live?.state ?? run.state;
  const chip = STATE_CHIP[state];
  const active = isActive(live);
  const ending = live?.ending !== undefined;
  const { max_steps } = run;
  return (
    <>
      <header className="run-head" data-testid="run-head" data-state={state}>
        <div className="run-name">
          <h2 className="title ell" title={run.name}>
            {run.name}
          </h2>
          <span className={`chip ${chip.tone}`}>
            {active && <i className="dot" />}
            {chip.text}
          </span>
          <span className="sm t2 run-step">
            step <b>{run.step}</b> of {max_steps}
          </span>
          <span className="sm t3 ell" data-testid="pace">
            {whatGoesOn({ live, state, pace: paceText(lines, run.step, max_steps) })}
          </span>
        </div>
        <span className="sp row run-buttons">
          <span className="xs t3 run-saved">
            {run.saved_step > 0 ? `saved at step ${run.saved_step}` : active ? 'not saved yet' : ''}
          </span>
          {state === 'running' && (
            <button
              type="button"
              className="btn"
              title="Save a checkpoint now (S)"
              onClick={() => actions.save()}
            >
              <Icon name="save" size={14} />
              Save
            </button>
          )}
          {active && (
            <button type="button" className="btn" disabled={ending} onClick={() => training.pause()}>
              <Icon name="pause" size={14} />
              Pause
              <kbd className="kbd">P</kbd>
            </button>
          )}
          {!active && canResume(state) && (
            <button
              type="button"
              className="btn p"
              disabled={otherActive || beginning}
              title={otherActive ? 'Another run is training. Pause it first.' : undefined}
              onClick={() => actions.resume(run.run)}
            >
              <Icon name="play" size={14} />
              Go on
              <kbd className="kbd">P</kbd>
            </button>
          )}
          {active && (
            <button type="button" className="btn" disabled={ending} onClick={() => training.stop()}>
              <Icon name="stop" size={14} />
              Stop
            </button>
          )}
          {(state === 'stopped' || state === 'done') && (
            <button type="button" className="btn" onClick={() => actions.newRun(config)}>
              New run like this
            </button>
          )}
        </span>
      </header>
      <Progress step={run.step} max_steps={max_steps} />
    </>
  );
}

/** What the run does now, or how fast it is. */
function whatGoesOn({
  live,
  state,
  pace,
}: {
  live: LiveRun | undefined;
  state: RunState;
  pace: string;
}): string {
  if (live?.ending) {
    const what = live.ending === 'pause' ? 'Pausing' : 'Stopping';
    return state === 'compiling' ? `${what} once the shaders are compiled` : `${what}, saving the last step`;
  }
  if (state === 'paused') return 'The GPU is free';
  if (state !== 'compiling' && state !== 'running') return '';
  // Nothing of it is heard here: the run belongs to the engine of another tab.
  if (!live) return 'in another tab';
  return state === 'compiling' ? (live.detail ?? 'compiling shaders') : pace;
}

function Progress({ step, max_steps }: { step: number; max_steps: number }) {
  const progress = useLive()?.progress;
  const share = (progress && progress.total > 0 ? progress.done / progress.total : 0) / max_steps;
  const whole = Math.min(1, step / max_steps + Math.min(share, 1 / max_steps));
  return (
    <div className="run-progress">
      <progress className="hidden" aria-label="Steps of the run" value={step} max={max_steps} />
      <b style={{ width: `${whole * 100}%` }} aria-hidden="true" />
      {progress && (
        <span className="hidden" data-testid="run-progress">
          {progress.label}
        </span>
      )}
    </div>
  );
}
