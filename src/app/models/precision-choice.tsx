import { useId } from 'react';
import type { ModelPlan, PlanPart } from '../../worker/model-protocol';
import type { ModelPrecision } from '../../worker/protocol';
import { formatBytes } from '../shared/format';
import { useDesk, useEngine } from '../store/app-services';
import type { ChosenPlan } from './plan-choice';
import { fitOf, partName, presetNote, roomOf } from './plan-facts';
import { PrecisionParts } from './precision-parts';

const COLOURS: Record<PlanPart['name'], string> = {
  language: '--c1',
  embedding: '--c2',
  vision: '--c3',
  connector: '--c4',
  other: '--c5',
  caches: '--c6',
};

/** How the model is stored on the GPU: each named way with its bytes, the chosen one by its parts, and one's own. */
export function PrecisionChoice({
  plan,
  chosen,
  download,
  onChoose,
}: {
  plan: ModelPlan;
  chosen: ChosenPlan;
  /** Its files come from another host, not from this computer. */
  download: boolean;
  onChoose: (precision: ModelPrecision) => void;
}) {
  const name = useId();
  const ways: ChosenPlan[] = chosen.preset ? plan.plans : [...plan.plans, chosen];
  const most = Math.max(...ways.map(({ bytes }) => bytes));
  const parts = chosen.parts.filter(({ bytes }) => bytes > 0);
  return (
    <fieldset className="precisions">
      <legend>
        <b>Precision on the GPU</b>{' '}
        <span className="t3 sm">{download ? 'The download' : 'What is read'} is the same for all.</span>
      </legend>
      {ways.map((way) => (
        <Way
          key={way.preset ?? 'own'}
          way={way}
          most={most}
          on={way.preset === chosen.preset}
          name={name}
          onChoose={() => onChoose(way.precision)}
        />
      ))}
      <ul className="precision-legend xs t2">
        {parts.map((part) => (
          <li key={part.name}>
            <i style={{ background: `var(${COLOURS[part.name]})` }} />
            {partName(part, chosen)} <b>{formatBytes(part.bytes)}</b>
          </li>
        ))}
      </ul>
      <PrecisionParts
        pieces={plan.pieces}
        precision={chosen.precision}
        own={chosen.preset === undefined}
        onChoose={onChoose}
      />
    </fieldset>
  );
}

function Way({
  way,
  most,
  on,
  name,
  onChoose,
}: {
  way: ChosenPlan;
  /** Bytes of the longest bar. */
  most: number;
  on: boolean;
  /** Of the radio buttons. */
  name: string;
  onChoose: () => void;
}) {
  const adapter = useEngine(({ gpu }) => gpu?.adapter);
  const room = useDesk(roomOf);
  const { fits, notKept, reason } = fitOf(way, adapter, room);
  const title = way.preset ?? 'Your choice';
  const share = (bytes: number) => `${(bytes / most) * 100}%`;
  return (
    <label className={`precision ${on ? 'on' : ''}`} title={reason || undefined}>
      <input
        type="radio"
        name={name}
        checked={on}
        aria-label={`${title}, ${formatBytes(way.bytes)}`}
        onChange={onChoose}
      />
      <span>
        <span className="med">{title}</span>
        <span className="xs t3">{presetNote(way)}</span>
      </span>
      <span className="precision-bar" aria-hidden="true">
        {on ? (
          way.parts
            .filter(({ bytes }) => bytes > 0)
            .map((part) => (
              <i
                key={part.name}
                style={{ width: share(part.bytes), background: `var(${COLOURS[part.name]})` }}
              />
            ))
        ) : (
          <i className="whole" style={{ width: share(way.bytes) }} />
        )}
      </span>
      <span className="med num">{formatBytes(way.bytes)}</span>
      <span className={`sm num ${fits && !notKept ? 'ok' : 't3'}`}>
        {fits ? (notKept ? 'not kept' : 'fits') : 'does not fit'}
      </span>
    </label>
  );
}
