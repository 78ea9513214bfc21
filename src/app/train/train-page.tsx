import { useEffect, useRef } from 'react';
import { Icon } from '../shared/icon';
import { useEngine, useServices, useView } from '../store/app-services';
import '../styles/train.css';
import '../styles/train-charts.css';
import '../styles/train-group.css';
import '../styles/train-side.css';
import '../styles/train-setup.css';
import '../styles/train-narrow.css';
import { ChartGrid } from './chart-grid';
import { Completions } from './completions';
import { CurrentGroup } from './current-group';
import { EmptyRun } from './empty-run';
import { HeldOut } from './held-out';
import { type Planned, useMemoryPlan } from './memory-plan';
import { RunEvents, RunExports } from './run-exports';
import { RunHeader } from './run-header';
import { RunList } from './run-list';
import { RunMessages } from './run-messages';
import { SetupColumn } from './setup-column';
import {
  TrainServicesContext,
  trainServices,
  useRecord,
  useSetup,
  useTraining,
  useTrainServices,
  useTrainView,
} from './train-services';
import { useRunActions } from './use-run-actions';
import { useTrainShortcuts } from './use-train-shortcuts';

/** Setup on the left, the run in the middle, what came of it on the right. */
export function TrainPage() {
  const services = useServices();
  return (
    <TrainServicesContext value={trainServices(services)}>
      <Page />
    </TrainServicesContext>
  );
}

function Page() {
  useTrainShortcuts();
  useRuns();
  const full = useTrainView((view) => view.groupFull);
  const config = useSetup((setup) => setup.config);
  const record = useRecord();
  const report = useSetup((setup) => (setup.data === 'toy' ? undefined : setup.report));
  const planned = useMemoryPlan(record?.config ?? config, record ? undefined : report);
  return (
    <main className={`train ${full ? 'group-only' : ''}`} id="train">
      <SetupColumn planned={planned} />
      <Middle planned={planned} />
      <Side />
    </main>
  );
}

/** Lists the runs once a model is there, and shows the newest of them. */
function useRuns(): void {
  const { training } = useTrainServices();
  const { show } = useRunActions();
  const ready = useEngine(({ model }) => model.status === 'ready' && !model.recorded);
  const listed = useTraining((state) => state.runs !== undefined);
  useEffect(() => {
    if (!ready || listed) return;
    training.listRuns().then(
      () => {
        const { runs, shown } = training.store.getState();
        if (runs?.[0] && shown === undefined) show(runs[0].run);
      },
      (error: Error) =>
        training.setError({
          scope: 'train',
          code: 'no-runs',
          title: 'The runs cannot be listed.',
          message: error.message,
        }),
    );
  }, [ready, listed, training, show]);
  useEffect(() => {
    if (!ready || !listed) return;
    // Another tab may have gone on with a run in the meantime.
    const onSeen = () => {
      if (document.visibilityState === 'visible') void training.refresh().catch(() => undefined);
    };
    document.addEventListener('visibilitychange', onSeen);
    return () => document.removeEventListener('visibilitychange', onSeen);
  }, [ready, listed, training]);
}

function Middle({ planned }: { planned: Planned }) {
  const { view } = useServices();
  const record = useRecord();
  const shown = useTraining((state) => state.shown);
  const grpo = record?.config.stage === 'grpo';
  const full = useTrainView((state) => state.groupFull);
  const failed = useTraining((state) => state.error !== undefined);
  const last = useRef(record);
  if (record) last.current = record;
  // While another run is read, the curves before it stay, dimmed.
  const curves = record ?? (shown !== undefined && !failed ? last.current : undefined);
  return (
    <section className="col mid train-mid" aria-label="Run">
      <button
        type="button"
        className="ib drawer-toggle train-drawer"
        aria-label="Accuracy, runs and export"
        onClick={() => view.setState({ drawerOpen: true })}
      >
        <Icon name="panel" />
      </button>
      <RunHeader planned={planned} />
      <div className="train-scroll">
        <RunMessages planned={planned} />
        {curves && !full && <ChartGrid record={curves} loading={!record} />}
        {record ? (
          <>
            {grpo && <CurrentGroup />}
            {grpo && !full && <Completions key={shown} />}
          </>
        ) : (
          shown === undefined && <EmptyRun />
        )}
      </div>
    </section>
  );
}

function Side() {
  const { view } = useServices();
  const open = useView((state) => state.drawerOpen);
  return (
    <aside className={`col right ${open ? 'open' : ''}`} aria-label="Accuracy, runs and export">
      <button
        type="button"
        className="ib drawer-close"
        aria-label="Close"
        onClick={() => view.setState({ drawerOpen: false })}
      >
        <Icon name="x" />
      </button>
      <HeldOut />
      <RunList />
      <RunEvents />
      <RunExports />
    </aside>
  );
}
