import type { PartPrecision } from '../../worker/protocol';
import { PART_NAMES, precisionName } from './plan-facts';

/** What storing weights in fewer bits changed, part by part and tensor by tensor, as it was measured while loading. */
export function ModelErrors({ parts }: { parts: readonly PartPrecision[] }) {
  const tensors = parts.flatMap(({ errors = [] }) => errors).sort((a, b) => b.error - a.error);
  if (tensors.length === 0) return null;
  return (
    <details className="model-errors" data-testid="model-errors">
      <summary>
        <span className="med">Precision</span>
        <span className="t3 sm">{parts.map(label).join('; ')}</span>
      </summary>
      <p className="t3 sm">
        Relative error of the weights (root mean square) by storing them in fewer bits, measured while they
        were loaded: mean over the tensors, and the largest.
      </p>
      <ul className="model-parts sm">
        {parts.map((part) => (
          <li key={part.part}>
            <span>{PART_NAMES[part.part]}</span>
            <span className="t2">{precisionName(part.precision)}</span>
            <span className="num">{percent(part.mean_error)}</span>
            <span className="num t2">{percent(part.worst_error)}</span>
          </li>
        ))}
      </ul>
      <ul className="model-tensors xs" aria-label="Error of each tensor, largest first">
        {tensors.map(({ name, error }) => (
          <li key={name}>
            <span className="mono ell" title={name}>
              {name}
            </span>
            <span className="num t2">{percent(error)}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}

function label({ part, precision }: PartPrecision): string {
  return `${PART_NAMES[part]} ${precisionName(precision)}`;
}

/** A share as "7.4 %", of two digits. */
function percent(share: number): string {
  return share === 0 ? '0 %' : `${Number((100 * share).toPrecision(2))} %`;
}
