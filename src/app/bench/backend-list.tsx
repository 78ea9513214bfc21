import type { BackendChoice } from '../../worker/bench-protocol';
import { formatSizes } from './bench-facts';

const NAMES = { ort: 'ONNX Runtime', wgsl: 'our kernels' } as const;

/** Choices that are the same for the same reason are one line. */
function grouped(choices: readonly BackendChoice[]): { choice: BackendChoice; graphs: string[] }[] {
  const groups = new Map<string, { choice: BackendChoice; graphs: string[] }>();
  for (const choice of choices) {
    const key =
      choice.ort_ms === undefined ? `${choice.backend} ${choice.why}` : `${choice.graph} ${choice.rows}`;
    const group = groups.get(key) ?? { choice, graphs: [] };
    group.graphs.push(choice.graph);
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** Which dense backend each block got, and why. */
export function BackendList({ choices }: { choices: readonly BackendChoice[] }) {
  return (
    <section className="backends" aria-labelledby="backends-title">
      <h3 id="backends-title">Backends chosen</h3>
      {choices.length === 0 && <p className="t3 sm">Known once a model is loaded.</p>}
      <ul>
        {grouped(choices).map(({ choice, graphs }) => (
          <li key={`${choice.graph} ${choice.rows} ${choice.why}`}>
            <span className="row">
              <b className="med">{NAMES[choice.backend]}</b>
              <span className="sp t2">{graphs.length > 1 ? `${graphs.length} blocks` : rowsOf(choice)}</span>
            </span>
            <span className="t2 xs">{formatSizes(graphs.join(', '))}</span>
            <span className="t3 xs">{choice.why}</span>
          </li>
        ))}
      </ul>
      <p className="t3 xs">Attention is always ours.</p>
    </section>
  );
}

function rowsOf({ rows, ort_ms }: BackendChoice): string {
  if (ort_ms === undefined) return 'all rows';
  return rows === null ? 'more than 1,024 rows' : `up to ${rows.toLocaleString('en')} rows`;
}
