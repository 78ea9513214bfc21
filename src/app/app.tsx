import { lazy, type ReactNode, Suspense, useEffect, useState } from 'react';
import { AskPage } from './ask/ask-page';
import { SupportDialog } from './recorded/support-dialog';
import { HelpDialog } from './shared/help-dialog';
import { StatusBar } from './shared/status-bar';
import { TopBar } from './shared/top-bar';
import { type AppServices, AppServicesContext, useView } from './store/app-services';
import type { DialogName } from './store/view';

// Each in files of its own, so that the first load is the Ask page's alone.
const BenchPage = lazy(() => import('./bench/bench-page').then((module) => ({ default: module.BenchPage })));
const ExportDialog = lazy(() =>
  import('./export/export-dialog').then((module) => ({ default: module.ExportDialog })),
);
const ModelDialog = lazy(() =>
  import('./models/model-dialog').then((module) => ({ default: module.ModelDialog })),
);
const TrainPage = lazy(() => import('./train/train-page').then((module) => ({ default: module.TrainPage })));

/** The page: bars around what the chosen tab shows. */
export function App({ services }: { services: AppServices }) {
  return (
    <AppServicesContext value={services}>
      <div className="app">
        <TopBar />
        <Page />
        <StatusBar />
      </div>
      <HelpDialog />
      <WhenOpened name="models" services={services}>
        <ModelDialog />
      </WhenOpened>
      <WhenOpened name="export" services={services}>
        <ExportDialog />
      </WhenOpened>
      <SupportDialog />
    </AppServicesContext>
  );
}

/** A dialog that is fetched when it is first opened, and stays: it closes with its own motion. */
function WhenOpened({
  name,
  services,
  children,
}: {
  name: DialogName;
  services: AppServices;
  children: ReactNode;
}) {
  const [opened, setOpened] = useState(() => services.view.getState().dialog === name);
  useEffect(
    () => services.view.subscribe(({ dialog }) => dialog === name && setOpened(true)),
    [services, name],
  );
  return opened && <Suspense fallback={null}>{children}</Suspense>;
}

function Page() {
  const page = useView((view) => view.page);
  if (page === 'ask') return <AskPage />;
  return (
    <Suspense fallback={<main className="page-loading t3">Loading this page.</main>}>
      {page === 'train' ? <TrainPage /> : <BenchPage />}
    </Suspense>
  );
}
