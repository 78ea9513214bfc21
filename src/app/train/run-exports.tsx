import { useRef, useState } from 'react';
import type { RunExport } from '../../worker/training-protocol';
import { Icon } from '../shared/icon';
import { newestEvents } from './run-facts';
import { useRecord, useTraining } from './train-services';
import { isActive } from './training-state';
import { useRunActions } from './use-run-actions';

/** `own`: of questions that the user wrote alone; `grpo`: not of a cold start. */
const EXPORTS: readonly { what: RunExport; name: string; note: string; own?: true; grpo?: true }[] = [
  { what: 'adapter', name: 'PEFT adapter', note: 'safetensors, a ZIP' },
  { what: 'completions-jsonl', name: 'Completions', note: 'JSONL', grpo: true },
  { what: 'metrics-jsonl', name: 'Metrics', note: 'JSONL' },
  { what: 'metrics-csv', name: 'Metrics', note: 'CSV' },
  { what: 'questions', name: 'Questions', note: 'JSONL and clips, a ZIP', own: true },
  { what: 'trl', name: 'TRL script', note: 'Python, a ZIP', grpo: true },
];

/** What happened in the run, newest first. */
export function RunEvents() {
  const events = useRecord()?.events;
  if (!events) return null;
  return (
    <div className="sec" data-testid="run-events">
      <h2 className="h list-head">Events</h2>
      {events.length === 0 && <p className="sm t3">None yet.</p>}
      <ol className="events">
        {newestEvents(events).map(({ step, code, text, time }) => (
          <li key={`${step} ${code} ${time}`} title={new Date(time).toLocaleTimeString('en')}>
            <span className="t3">{step}</span> {text}
          </li>
        ))}
      </ol>
    </div>
  );
}

/** What can be taken away from the run, and the adapter on the Ask page. */
export function RunExports() {
  const { ask, export: exportRun } = useRunActions();
  const record = useRecord();
  // The engine would load an adapter only when the run has ended, hours later perhaps.
  const training = useTraining(({ live }) => isActive(live));
  const picker = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState<RunExport>();
  const coldStart = record?.config.stage === 'cold-start';
  const saved = record && record.run.saved_step > 0 ? record.run : undefined;
  return (
    <div className="sec last" data-testid="exports">
      {record && (
        <>
          <div className="row list-head">
            <h2 className="h">Export</h2>
            <span className="sp xs t3">{saved ? `from step ${saved.saved_step}` : 'nothing saved yet'}</span>
          </div>
          <ul>
            {EXPORTS.filter(
              ({ own, grpo }) => !(own && record.run.data !== 'own') && !(grpo && coldStart),
            ).map(({ what, name, note }) => (
              <li key={what}>
                <button
                  type="button"
                  className="ex"
                  disabled={busy !== undefined || ((what === 'adapter' || what === 'trl') && !saved)}
                  onClick={() => {
                    setBusy(what);
                    void exportRun(record.run, what).then(() => setBusy(undefined));
                  }}
                >
                  <Icon name="download" size={15} />
                  <span className="med">{name}</span>
                  <span className="t3">{busy === what ? 'being written' : note}</span>
                </button>
              </li>
            ))}
          </ul>
          {coldStart && (
            <p className="xs t3">
              No completions and no TRL script: those are of GRPO, this is a cold start.
            </p>
          )}
          <button
            type="button"
            className="btn wide"
            disabled={!saved || training}
            aria-describedby={training ? 'ask-waits' : undefined}
            title="The Ask page, with the base and this adapter answering side by side"
            onClick={() => void ask({ run: record.run.run })}
          >
            Ask with this adapter
          </button>
        </>
      )}
      {!record && (
        <>
          <h2 className="h list-head">Adapters</h2>
          <p className="sm t3">
            An adapter in PEFT’s two files, or a ZIP of them, answers on the Ask page, beside the base.
          </p>
        </>
      )}
      <button
        type="button"
        className="btn small wide"
        disabled={training}
        aria-describedby={training ? 'ask-waits' : undefined}
        title="adapter_config.json and adapter_model.safetensors, or a ZIP of them"
        onClick={() => picker.current?.click()}
      >
        Ask with PEFT’s files
      </button>
      {training && (
        <p id="ask-waits" className="xs t3">
          Answers wait while a run trains. Pause it to ask.
        </p>
      )}
      <input
        ref={picker}
        type="file"
        hidden
        multiple
        accept=".json,.safetensors,.zip"
        aria-label="adapter_config.json and adapter_model.safetensors"
        data-testid="adapter-files"
        onChange={(event) => {
          const files = [...(event.target.files ?? [])];
          event.target.value = '';
          if (files.length > 0) void ask({ files, name: adapterName(files) });
        }}
      />
    </div>
  );
}

/** Name of the folder that the files came from, where the browser tells. */
function adapterName(files: readonly File[]): string {
  return files[0]!.webkitRelativePath.split('/').at(-2) || 'adapter';
}
