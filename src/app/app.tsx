import { AskPage } from './ask/ask-page';
import { ExportDialog } from './export/export-dialog';
import { ModelDialog } from './models/model-dialog';
import { SupportDialog } from './recorded/support-dialog';
import { HelpDialog } from './shared/help-dialog';
import { StatusBar } from './shared/status-bar';
import { TopBar } from './shared/top-bar';
import { type AppServices, AppServicesContext } from './store/app-services';

/** The page: bars around what the chosen tab shows. */
export function App({ services }: { services: AppServices }) {
  return (
    <AppServicesContext value={services}>
      <div className="app">
        <TopBar />
        <AskPage />
        <StatusBar />
      </div>
      <HelpDialog />
      <ModelDialog />
      <ExportDialog />
      <SupportDialog />
    </AppServicesContext>
  );
}
