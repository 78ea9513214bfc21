import { useId, useState } from 'react';
import { largestTensor, type ModelPart, type PlanPieces } from '../../worker/model-protocol';
import type { ModelPrecision } from '../../worker/protocol';
import { formatBytes } from '../shared/format';
import { useEngine } from '../store/app-services';
import { partsOf } from './plan-choice';
import { PART_NAMES, precisionName } from './plan-facts';

/** A precision for each part, with the bytes that the part takes in it. Open where the choice is one's own. */
export function PrecisionParts({
  pieces,
  precision,
  own,
  onChoose,
}: {
  pieces: PlanPieces;
  precision: ModelPrecision;
  own: boolean;
  onChoose: (precision: ModelPrecision) => void;
}) {
  const [open, setOpen] = useState(own);
  return (
    <details
      className="precision-parts"
      open={open}
      onToggle={(event) => setOpen(event.currentTarget.open)}
      data-testid="precision-parts"
    >
      <summary className="med">Choose for each part</summary>
      <div>
        {partsOf(pieces).map((part) => (
          <OnePart
            key={part}
            part={part}
            pieces={pieces}
            value={precision[part]}
            onChoose={(value) => onChoose({ ...precision, [part]: value })}
          />
        ))}
      </div>
    </details>
  );
}

function OnePart({
  part,
  pieces: { stored },
  value,
  onChoose,
}: {
  part: ModelPart;
  pieces: PlanPieces;
  value: ModelPrecision[ModelPart];
  onChoose: (value: ModelPrecision[ModelPart]) => void;
}) {
  const id = useId();
  const adapter = useEngine(({ gpu }) => gpu?.adapter);
  const limit = adapter ? largestTensor(adapter.limits) : Number.POSITIVE_INFINITY;
  return (
    <>
      <label htmlFor={id} className="sm t2">
        {PART_NAMES[part]}
      </label>
      <select
        id={id}
        className="in"
        value={value}
        onChange={(event) => {
          const chosen = stored[part].find(({ precision }) => precision === event.target.value);
          if (chosen) onChoose(chosen.precision);
        }}
      >
        {[...stored[part]].reverse().map(({ precision, bytes, largest }) => (
          <option key={precision} value={precision}>
            {precisionName(precision)}, {formatBytes(bytes)}
            {largest.bytes > limit ? ', does not fit' : ''}
          </option>
        ))}
      </select>
    </>
  );
}
