import type { Target } from '../../worker/bench-protocol';
import { Icon } from '../shared/icon';
import { formatSizes } from './bench-facts';

/** What is asked of the kernels, and what was found. */
export function TargetList({ targets }: { targets: readonly Target[] }) {
  return (
    <section className="targets" aria-labelledby="targets-title">
      <h3 id="targets-title">Asked of the kernels</h3>
      <ul>
        {targets.map(({ name, ok, met, of, worst, limit, shape }) => (
          <li key={`${name} ${shape} ${of}`}>
            <span className={ok ? 'ok' : 'warn'}>
              <Icon name={ok ? 'check' : 'info'} />
              <span className="hidden">{ok ? 'met' : 'missed'}</span>
            </span>
            <span>
              {name}: limit {limit}
            </span>
            <span className="t2">
              {of === 0
                ? 'not measured'
                : `${met} of ${of}, worst ${worst.toFixed(2)} at ${formatSizes(shape)}`}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
