import { useEffect, useRef, useState } from 'react';
import type { RunSummary } from '../../worker/training-protocol';
import { formatBytes, formatSigned } from '../shared/format';
import { Icon } from '../shared/icon';
import { useServices } from '../store/app-services';
import { CompareDialog } from './compare-dialog';
import { LAST_STEPS, percent, STATE_CHIP } from './run-facts';
import { differenceNote } from './setting-differences';
import { useCompared, useRecord, useTraining, useTrainView } from './train-services';
import { isActive } from './training-state';
import { useRunActions } from './use-run-actions';

/** All runs: open, lay over, rename, delete. */
export function RunList() {
  const { newRun } = useRunActions();
  const runs = useTraining((state) => state.runs);
  const shown = useTraining((state) => state.shown);
  return (
    <div className="sec" data-testid="run-list">
      <div className="row list-head">
        <h2 className="h">Runs</h2>
        <span
          className="sp xs t3"
          title={`Mean reward of the last ${LAST_STEPS} steps, accuracy at the last held-out check`}
        >
          reward, held-out
        </span>
      </div>
      {runs === undefined ? (
        <p className="sm t3">Listed once the engine is there.</p>
      ) : runs.length === 0 ? (
        <p className="sm t3">No runs yet.</p>
      ) : (
        <ul className="runs">
          {runs.map((run) => (
            <Run key={run.run} run={run} shown={run.run === shown} />
          ))}
        </ul>
      )}
      {shown !== undefined && (
        <div className="row run-list-buttons">
          {runs && runs.length > 1 && <CompareButton />}
          <button type="button" className="btn grow" onClick={() => newRun()}>
            <Icon name="plus" size={14} />
            New run
          </button>
        </div>
      )}
      <CompareDialog />
    </div>
  );
}

/** What differs between the run that is shown and the ticked ones, and what came of it. */
function CompareButton() {
  const { view } = useServices();
  const compared = useCompared();
  return (
    <button
      type="button"
      className="btn grow"
      disabled={compared.length === 0}
      title={compared.length === 0 ? 'Tick a run first' : 'Settings and results side by side'}
      onClick={() => view.setState({ dialog: 'compare' })}
    >
      Compare
    </button>
  );
}

function Run({ run, shown }: { run: RunSummary; shown: boolean }) {
  const actions = useRunActions();
  const compared = useTrainView((view) => view.compared.includes(run.run));
  const [mode, setMode] = useState<'row' | 'rename' | 'delete'>('row');
  const config = useRecord()?.config;
  const differs = shown || !config ? '' : differenceNote(run.config, config);
  const active = useTraining(({ live }) => live?.run === run.run && isActive(live));
  const elsewhere = !active && isActive(run);
  if (mode === 'rename') return <Rename run={run} onDone={() => setMode('row')} />;
  if (mode === 'delete')
    return (
      <li className="run-ask" role="alert">
        <span className="sm">
          Delete {run.name} with its {formatBytes(run.bytes)}?
        </span>
        <span className="row">
          <button
            type="button"
            className="btn small"
            onClick={() => {
              actions.delete(run.run);
              setMode('row');
            }}
          >
            Delete
          </button>
          <button type="button" className="btn q small" onClick={() => setMode('row')}>
            Keep
          </button>
        </span>
      </li>
    );
  return (
    <li className={`run ${shown ? 'on' : ''}`} data-testid="run-row">
      {shown ? (
        <i className="sw" style={{ background: 'var(--c1)' }} aria-hidden="true" />
      ) : (
        <input
          type="checkbox"
          className={compared ? 'compared' : ''}
          aria-label={`Compare ${run.name}`}
          title="Lay its curves behind those of the run that is shown"
          checked={compared}
          onChange={() => actions.compare(run.run)}
        />
      )}
      <button
        type="button"
        className="run-open ell"
        aria-current={shown ? 'true' : undefined}
        title={`${run.name}, ${run.model}, ${new Date(run.created).toLocaleString('en')}, ${formatBytes(run.bytes)}${differs && `\n${differs}`}`}
        onClick={() => actions.show(run.run)}
      >
        <b>{run.name}</b> <span className="t3">{runNote(run, differs)}</span>
      </button>
      <span className="t2 run-number">{run.reward === undefined ? '–' : formatSigned(run.reward)}</span>
      <span className="t2 run-number run-accuracy">
        {run.eval_accuracy === undefined ? '–' : percent(run.eval_accuracy)}
      </span>
      <span className="run-tools">
        <button
          type="button"
          className="ib small"
          aria-label={`Rename ${run.name}`}
          title="Rename"
          onClick={() => setMode('rename')}
        >
          <Icon name="edit" size={13} />
        </button>
        <button
          type="button"
          className="ib small"
          aria-label={`Delete ${run.name}`}
          title={active ? 'Stop it first' : elsewhere ? 'Stop it in the other tab first' : 'Delete'}
          disabled={active || elsewhere}
          onClick={() => setMode('delete')}
        >
          <Icon name="trash" size={13} />
        </button>
      </span>
    </li>
  );
}

/** How far a run is, and in what it differs from the one that is shown. */
function runNote({ state, step }: RunSummary, differs: string): string {
  const { text } = STATE_CHIP[state];
  if (state === 'running') return [`step ${step}`, differs].filter(Boolean).join(', ');
  if (state === 'done' || state === 'stopped') return differs || text;
  return [state === 'paused' && !differs ? `step ${step}` : '', text, differs].filter(Boolean).join(', ');
}

function Rename({ run, onDone }: { run: RunSummary; onDone: () => void }) {
  const { rename } = useRunActions();
  const field = useRef<HTMLInputElement>(null);
  const [name, setName] = useState(run.name);
  useEffect(() => field.current?.select(), []);
  return (
    <li className="run-ask">
      <form
        className="row"
        onSubmit={(event) => {
          event.preventDefault();
          if (name.trim() !== '') rename(run.run, name.trim());
          onDone();
        }}
      >
        <input
          ref={field}
          className="in"
          type="text"
          aria-label={`New name of ${run.name}`}
          maxLength={80}
          value={name}
          onChange={(event) => setName(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === 'Escape') onDone();
          }}
        />
        <button type="submit" className="btn small">
          Rename
        </button>
      </form>
    </li>
  );
}
