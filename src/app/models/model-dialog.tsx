import { useEffect, useRef } from 'react';
import { EngineErrors } from '../ask/engine-errors';
import { Dialog } from '../shared/dialog';
import { useMediaQuery } from '../shared/use-media-query';
import { useDesk, useEngine, useServices } from '../store/app-services';
import { LoadingModel } from './loading-model';
import { ModelDetails } from './model-details';
import { ModelList } from './model-list';
import { PlanPanel } from './plan-panel';

const LIST_EVERY_MS = 3000;

/** The models to choose from; and what is known of the one in use, or of the one that could be loaded. */
export function ModelDialog() {
  return (
    <Dialog name="models" title="Models" className="wide models">
      <Columns />
    </Dialog>
  );
}

function Columns() {
  const { client } = useServices();
  const id = useEngine(({ model }) => model.id);
  const status = useEngine(({ model }) => model.status);
  const next = useEngine(({ nextModel }) => nextModel?.id);
  const plan = useDesk((desk) => desk.plan);
  const loading = next !== undefined || status === 'loading';
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is kept changes with every load
  useEffect(() => {
    client.desk.list();
    if (!loading) return;
    // And grows while it goes on.
    const timer = setInterval(() => client.desk.list(), LIST_EVERY_MS);
    return () => clearInterval(timer);
  }, [client, id, status, next]);
  const side = useRef<HTMLDivElement>(null);
  // Where it lies below the list, what was asked for comes into sight.
  const below = useMediaQuery('(max-width: 759px)');
  const shown = plan ? `${plan.id} ${plan.plan ? 'planned' : ''}` : next;
  useEffect(() => {
    if (below && shown !== undefined) side.current?.scrollIntoView();
  }, [below, shown]);
  return (
    <div className="models-columns">
      <ModelList />
      <div className="model-side" ref={side}>
        {plan ? <PlanPanel key={plan.id} state={plan} /> : loading ? <LoadingModel /> : <ModelDetails />}
        {!plan && <EngineErrors scopes={['gpu', 'model']} />}
      </div>
    </div>
  );
}
