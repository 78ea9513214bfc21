import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app';
import { watchLabel } from './ask/samples';
import { EngineClient } from './engine-client';
import { watchContexts } from './export/answer-context';
import { startModel } from './models/choose-model';
import { createModelStore } from './models/model-store';
import { RecordedEngine } from './recorded/recorded-engine';
import type { AppServices } from './store/app-services';
import { createDraftStore } from './store/draft';
import { followHash } from './store/pages';
import { applyTheme, createViewStore } from './store/view';
import './styles/index.css';

const client = new EngineClient((recorded) =>
  recorded
    ? new RecordedEngine(new URL('samples/', document.baseURI).href)
    : new Worker(new URL('../worker/worker.ts', import.meta.url), { type: 'module', name: 'engine' }),
);
// `?backend=ort` or `?backend=wgsl` forces a dense backend, for comparisons and tests.
const backend = new URLSearchParams(location.search).get('backend');
const services: AppServices = {
  client,
  draft: createDraftStore(),
  view: createViewStore(),
  models: createModelStore(document.baseURI),
  contexts: watchContexts(client),
  backend: backend === 'ort' || backend === 'wgsl' ? backend : undefined,
  player: { current: null },
};
applyTheme(services.view);
followHash(services.view);
watchLabel(client.store, services.draft);
startModel(services);

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <App services={services} />
  </StrictMode>,
);
