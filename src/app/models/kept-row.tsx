import { useState } from 'react';
import { sourceAddress } from '../../storage/kept-source';
import type { KeptModel } from '../../worker/model-protocol';
import { formatBytes } from '../shared/format';
import { Icon } from '../shared/icon';
import { useDesk, useEngine, useModels, useServices } from '../store/app-services';
import type { ModelState as Model } from '../store/engine-state';
import { chooseModel, chooseUrl } from './choose-model';
import { ModelState } from './model-state';
import { keptPrecision } from './plan-facts';

const WHEN = { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' } as const;

/** A model that is kept in this browser: its size, whether it is whole, and a way to delete it. */
export function KeptRow({
  model,
  loaded,
  twin,
}: {
  model: KeptModel;
  /** It as it answers, or is being loaded. */
  loaded: Model | undefined;
  /** Another row has its name and precision: the date tells them apart. */
  twin: boolean;
}) {
  const services = useServices();
  const inUse = loaded !== undefined;
  const failed = loaded?.status === 'failed';
  const planned = useDesk(({ plan }) => plan?.of.source.kind === 'url' && plan.of.source.url);
  const [asking, setAsking] = useState(false);
  const { id, name, source, bytes, complete, created, revision } = model;
  // What was not kept to its end and came from files needs them again.
  const dead = !complete && !sourceAddress(source);
  const choose = () => {
    if (inUse && !failed) services.client.desk.closePlan();
    else if (complete) chooseModel(services, { kind: 'kept', id, name });
    else chooseUrl(services, source, model.precision);
  };
  const size = `${formatBytes(bytes)}, ${keptPrecision(model)}`;
  const state = complete
    ? `${size}, kept in this browser`
    : model.inUse
      ? `${size} so far`
      : `stopped at ${size}${dead ? '; choose its files again to go on' : ''}`;
  const since = twin ? `, since ${new Date(created).toLocaleString('en-GB', WHEN)}` : '';
  return (
    <li className="kept-row" data-testid="kept-model" data-complete={complete}>
      <button
        type="button"
        className={`model-row ${(planned ? planned === source : inUse) ? 'on' : ''}`}
        aria-current={inUse ? 'true' : undefined}
        disabled={(inUse && !planned && !failed) || (!inUse && (dead || model.inUse))}
        title={`${source}, revision ${revision.slice(0, 7)}`}
        onClick={choose}
      >
        <ModelState model={loaded} />
        <span className="med ell">{name}</span>
        <span className="t3 sm model-note">{state + since}</span>
      </button>
      <button
        type="button"
        className="ib small"
        aria-label={`Delete ${name}${since}`}
        title={model.inUse ? 'A tab is loading it' : 'Delete'}
        disabled={model.inUse}
        onClick={() => setAsking(!asking)}
      >
        <Icon name="trash" size={14} />
      </button>
      {asking && <Confirm model={model} inUse={inUse} onEnd={() => setAsking(false)} />}
    </li>
  );
}

function Confirm({ model, inUse, onEnd }: { model: KeptModel; inUse: boolean; onEnd: () => void }) {
  const { client, models } = useServices();
  const chosen = useModels((state) => state.chosen);
  const ready = useEngine((state) => state.model.status === 'ready');
  const remove = () => {
    // At the next visit it is not there any more.
    if (chosen.kind === 'kept' && chosen.id === model.id) models.setState({ chosen: { kind: 'toy' } });
    client.desk.delete(model.id);
    onEnd();
  };
  return (
    <div className="kept-confirm">
      <p className="sm">
        This frees {formatBytes(model.bytes)}. {inUse && ready ? 'It stays loaded in this tab. ' : ''}
        To use it again, it is loaded from where it came from.
      </p>
      <div className="row">
        <button type="button" className="btn" onClick={remove}>
          Delete
        </button>
        <button type="button" className="btn q" onClick={onEnd}>
          Keep it
        </button>
      </div>
    </div>
  );
}
