import { useId } from 'react';
import type { PlanPart, PrecisionPlan, PrecisionPreset } from '../../worker/model-protocol';
import { formatBytes } from '../shared/format';
import { useDesk, useEngine } from '../store/app-services';
import { fitOf, partName, presetNote, roomOf } from './plan-facts';

const COLOURS: Record<PlanPart['name'], string> = {
  language: '--c1',
  embedding: '--c2',
  vision: '--c3',
  connector: '--c4',
  other: '--c5',
  caches: '--c6',
};

/** How the model is stored on the GPU: each way with its bytes, the chosen one by its parts. */
export function PrecisionChoice({
  plans,
  chosen,
  onChoose,
}: {
  plans: readonly PrecisionPlan[];
  chosen: PrecisionPlan;
  onChoose: (preset: PrecisionPreset) => void;
}) {
  const name = useId();
  const adapter = useEngine(({ gpu }) => gpu?.adapter);
  const room = useDesk(roomOf);
  const most = Math.max(...plans.map(({ bytes }) => bytes));
  const parts = chosen.parts.filter(({ bytes }) => bytes > 0);
  return (
    <fieldset className="precisions">
      <legend>
        <b>Precision on the GPU</b> <span className="t3 sm">The download is the same for all.</span>
      </legend>
      {plans.map((plan) => {
        const { fits, notKept, reason } = fitOf(plan, adapter, room);
        const on = plan.preset === chosen.preset;
        return (
          <label key={plan.preset} className={`precision ${on ? 'on' : ''}`} title={reason || undefined}>
            <input
              type="radio"
              name={name}
              checked={on}
              aria-label={`${plan.preset}, ${formatBytes(plan.bytes)}`}
              onChange={() => onChoose(plan.preset)}
            />
            <span>
              <span className="med">{plan.preset}</span>
              <span className="xs t3">{presetNote(plan)}</span>
            </span>
            <span className="precision-bar" aria-hidden="true">
              {on ? (
                parts.map((part) => (
                  <i
                    key={part.name}
                    style={{
                      width: `${(part.bytes / most) * 100}%`,
                      background: `var(${COLOURS[part.name]})`,
                    }}
                  />
                ))
              ) : (
                <i className="whole" style={{ width: `${(plan.bytes / most) * 100}%` }} />
              )}
            </span>
            <span className="med num">{formatBytes(plan.bytes)}</span>
            <span className={`sm num ${fits && !notKept ? 'ok' : 't3'}`}>
              {fits ? (notKept ? 'not kept' : 'fits') : 'does not fit'}
            </span>
          </label>
        );
      })}
      <ul className="precision-legend xs t2">
        {parts.map((part) => (
          <li key={part.name}>
            <i style={{ background: `var(${COLOURS[part.name]})` }} />
            {partName(part, chosen)} <b>{formatBytes(part.bytes)}</b>
          </li>
        ))}
      </ul>
    </fieldset>
  );
}
