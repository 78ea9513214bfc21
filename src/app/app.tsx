import { lazy, Suspense } from 'react';
import { AskPage } from './ask/ask-page';
import { ExportDialog } from './export/export-dialog';
import { ModelDialog } from './models/model-dialog';
import { SupportDialog } from './recorded/support-dialog';
import { HelpDialog } from './shared/help-dialog';
import { StatusBar } from './shared/status-bar';
import { TopBar } from './shared/top-bar';
import { type AppServices, AppServicesContext, useView } from './store/app-services';

// Each in files of its own, so that the first load is the Ask page's alone.
const BenchPage = lazy(() => import('./bench/bench-page').then((module) => ({ default: module.BenchPage })));
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
      <ModelDialog />
      <ExportDialog />
      <SupportDialog />
    </AppServicesContext>
  );
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
