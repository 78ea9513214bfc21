import { useState } from 'react';
import { largestTensor, type ModelPlan, precisionLine } from '../../worker/model-protocol';
import type { ModelPrecision } from '../../worker/protocol';
import { formatBytes, formatCount } from '../shared/format';
import { Icon } from '../shared/icon';
import { ErrorMessage } from '../shared/message';
import { useDesk, useEngine, useServices } from '../store/app-services';
import type { PlanState } from '../store/desk-state';
import { askPlan, loadPlanned } from './choose-model';
import { FolderButton } from './folder-button';
import { chosenPlan, knownPrecision, offeredNote, whatFits } from './plan-choice';
import { fitOf, freeRoom, keptOf, roomOf, splitBytes } from './plan-facts';
import { PlanFiles } from './plan-files';
import { PlanSpeed } from './plan-speed';
import { PlanSteps } from './plan-steps';
import { PlanTraining } from './plan-training';
import { PrecisionChoice } from './precision-choice';

/** What a model would take, before anything of it is loaded. */
export function PlanPanel({ state }: { state: PlanState }) {
  const services = useServices();
  const stays = useEngine(({ model }) => (model.status === 'ready' ? model.name : undefined));
  const { of, plan, error } = state;
  const close = (
    <button type="button" className="btn q" onClick={() => services.client.desk.closePlan()}>
      Close
    </button>
  );
  return (
    <section className="plan" aria-label="Model to load" data-testid="model-plan">
      <div>
        <h3 className="title">{of.name}</h3>
        <p className="t2 sm plan-from">
          {plan ? `${formatCount(plan.parameters)} parameters. ` : ''}
          {of.source.kind === 'url' ? of.source.url : 'From files on this computer. Nothing is uploaded.'}
        </p>
      </div>
      {error ? (
        <ErrorMessage
          error={{ ...error, message: `${error.message}${stays ? ` ${stays} stays loaded.` : ''}` }}
          icon="chip"
        >
          <button type="button" className="btn" onClick={() => askPlan(services, of)}>
            Try again
          </button>
          {close}
        </ErrorMessage>
      ) : plan ? (
        <Plan state={state} plan={plan} />
      ) : (
        <div className="plan-end">
          <p className="t3 sm" role="status">
            Reading what the model would take.
          </p>
          {close}
        </div>
      )}
    </section>
  );
}

function Plan({ state, plan }: { state: PlanState; plan: ModelPlan }) {
  const services = useServices();
  const adapter = useEngine(({ gpu }) => gpu?.adapter);
  const room = useDesk(roomOf);
  const kept = useDesk((desk) => desk.kept);
  const { source } = state.of;
  const from = source.kind === 'url' ? source.url : undefined;
  const [precision, setPrecision] = useState<ModelPrecision>(() => {
    const known = knownPrecision(state.of, plan, kept);
    return known && fitOf(chosenPlan(plan, known), adapter, room).fits ? known : plan.offered;
  });
  const chosen = chosenPlan(plan, precision);
  const there = keptOf(kept, from, chosen);
  const fit = fitOf(chosen, adapter, room, there?.bytes);
  const whole = there?.complete ?? false;
  const action = whole ? 'Load from this browser' : from ? `Download ${formatBytes(plan.download)}` : 'Load';
  const load = () => loadPlanned(services, state, precision, whole ? there : undefined);
  const note = precisionLine(precision) === precisionLine(plan.offered) ? offeredNote(plan, adapter) : '';
  return (
    <>
      <div className="plan-figures">
        <Figure bytes={plan.download} label={from ? 'download, once' : 'to read'} />
        <Figure bytes={chosen.bytes} label="on the GPU" />
        <Figure bytes={adapter && largestTensor(adapter.limits)} label="this adapter’s largest buffer" />
        <Figure bytes={room && room !== 'none' ? freeRoom(room) : undefined} label="storage free" />
      </div>
      <PrecisionChoice plan={plan} chosen={chosen} download={from !== undefined} onChoose={setPrecision} />
      {fit.fits && note && (
        <p className="plan-reason sm warn" role="status">
          {note}
        </p>
      )}
      {fit.reason && (
        <p className={`plan-reason sm ${fit.fits ? 'warn' : 'err'}`} role="status">
          {fit.reason}
          {!fit.fits && ` ${whatFits(plan, adapter, room)}`}
        </p>
      )}
      <div>
        <PlanSpeed plan={plan} chosen={chosen} />
        <PlanTraining chosen={chosen} />
      </div>
      <PlanSteps plan={plan} chosen={chosen} fit={fit} kept={there} download={from !== undefined} />
      {!whole && <PlanFiles plan={plan} from={from !== undefined} />}
      <div className="plan-end">
        <p className="t3 sm">
          {from && !whole
            ? 'Nothing is downloaded until you press the button.'
            : 'Nothing is loaded until you press the button.'}
        </p>
        {from && (
          <FolderButton className="btn">
            <Icon name="folder" size={14} />
            Use files on disk
          </FolderButton>
        )}
        <button type="button" className="btn p" disabled={!fit.fits} onClick={load}>
          {!whole && from && <Icon name="download" size={14} />}
          {action}
        </button>
      </div>
    </>
  );
}

function Figure({ bytes, label }: { bytes: number | undefined; label: string }) {
  const [value, unit] = bytes === undefined ? ['–', ''] : splitBytes(bytes);
  return (
    <p>
      <b>
        {value}
        <small>{unit}</small>
      </b>
      <span>{label}</span>
    </p>
  );
}
