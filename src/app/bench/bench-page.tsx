import { useMemo, useState } from 'react';
import type { BenchShapes } from '../../worker/bench-protocol';
import { download } from '../shared/download';
import { Icon } from '../shared/icon';
import { ErrorMessage } from '../shared/message';
import { ProgressBar } from '../shared/progress-bar';
import { Segmented } from '../shared/segmented';
import { useBench, useEngine, useServices } from '../store/app-services';
import { AdapterPanel, CeilingPanel } from './adapter-panel';
import { BackendList } from './backend-list';
import { caseFacts } from './bench-facts';
import { benchReport } from './bench-report';
import { CaseTable } from './case-table';
import { Roofline } from './roofline';
import { SelfTestPanel } from './self-test-panel';
import { TargetList } from './target-list';
import { useBenchActions, useBenchKeys } from './use-bench';

const SHAPES = [
  { value: 'small', label: 'Small shapes', title: 'What a CPU adapter measures in a few minutes' },
  { value: 'model', label: '3.6 B shapes', title: 'The layers of the published model: for a GPU' },
] as const satisfies readonly { value: BenchShapes; label: string; title: string }[];

/** Adapter, ceilings and self-test on the left; roofline, backends and the table of kernels on the right. */
export function BenchPage() {
  const { client } = useServices();
  const gpu = useEngine((state) => state.gpu);
  const model = useEngine((state) => state.model.name);
  const bench = useBench((state) => state);
  const { status, device, cases, selfTest } = bench;
  const [chosen, setChosen] = useState<BenchShapes>();
  const shapes = chosen ?? (gpu && !gpu.adapter.isFallback ? 'model' : 'small');
  const actions = useBenchActions(shapes);
  useBenchKeys(actions);
  const facts = useMemo(() => (device ? caseFacts(cases, device) : []), [cases, device]);
  const running = status === 'running';
  const busy = running || status === 'testing';
  const save = () =>
    download(
      'kernels.json',
      new Blob([benchReport(client.bench.getState(), gpu, model)], { type: 'application/json' }),
    );
  return (
    <main className="bench" id="bench">
      <div className="bench-left">
        <AdapterPanel gpu={gpu} />
        <CeilingPanel device={device} />
        <SelfTestPanel report={selfTest} testing={status === 'testing'} />
        <div className="bench-section row bench-buttons">
          <button type="button" className="btn" disabled={busy || !!actions.blocked} onClick={actions.test}>
            Run self-test
          </button>
          <button type="button" className="btn" disabled={!selfTest && cases.length === 0} onClick={save}>
            <Icon name="download" />
            Report
          </button>
        </div>
      </div>
      <div className="bench-main" data-testid="bench" data-status={status}>
        <div className="bench-head">
          <h2>Kernels</h2>
          <span className="t3 sm">{subtitle(status, device?.clock)}</span>
          <div className="sp row bench-run">
            <Segmented
              label="Shapes"
              value={shapes}
              options={SHAPES}
              onChange={setChosen}
              disabled={running}
            />
            {running ? (
              <button type="button" className="btn" onClick={actions.stop}>
                Stop<kbd className="kbd">Esc</kbd>
              </button>
            ) : (
              <button
                type="button"
                className="btn p"
                disabled={busy || !!actions.blocked}
                onClick={actions.measure}
              >
                {cases.length > 0 ? 'Run again' : 'Measure'}
                <kbd className="kbd">B</kbd>
              </button>
            )}
          </div>
        </div>
        {actions.blocked && <p className="bench-note t2 sm">{actions.blocked}</p>}
        {running && (
          <div className="bench-note">
            <ProgressBar progress={bench.progress} fallback="Measuring the ceilings" />
          </div>
        )}
        {bench.error && (
          <div className="bench-note">
            <ErrorMessage error={bench.error} icon="info" />
          </div>
        )}
        <div className="bench-charts">
          {device ? (
            <Roofline device={device} facts={facts} />
          ) : (
            <p className="bench-empty t3">
              Nothing is measured yet. Each kernel is compared with what this adapter can do at best.
            </p>
          )}
          <BackendList choices={bench.backends} />
        </div>
        {facts.length > 0 && <CaseTable facts={facts} />}
        {bench.targets.length > 0 && <TargetList targets={bench.targets} />}
      </div>
    </main>
  );
}

function subtitle(status: string, clock: 'gpu' | 'wall' | undefined): string {
  const how = clock === 'wall' ? 'by the clock' : 'by timestamps of the GPU';
  if (status === 'stopped') return 'stopped; what was measured stays';
  return `median of 5 submits of many runs, warm, ${how}`;
}
