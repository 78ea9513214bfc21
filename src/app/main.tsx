import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app';
import { EngineClient } from './engine-client';
import type { AppServices } from './store/app-services';
import { createDraftStore } from './store/draft';
import { applyTheme, createViewStore } from './store/view';
import './styles/index.css';

const client = new EngineClient(
  () => new Worker(new URL('../worker/worker.ts', import.meta.url), { type: 'module', name: 'engine' }),
);
const services: AppServices = {
  client,
  draft: createDraftStore(),
  view: createViewStore(),
  player: { current: null },
};
applyTheme(services.view);
// `?backend=ort` or `?backend=wgsl` forces a dense backend, for comparisons and tests.
const backend = new URLSearchParams(location.search).get('backend');
client.loadModel({
  name: 'Toy model',
  source: { kind: 'url', url: new URL('models/toy/', document.baseURI).href },
  ...(backend === 'ort' || backend === 'wgsl' ? { backend } : {}),
});

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <App services={services} />
  </StrictMode>,
);
