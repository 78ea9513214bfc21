import type { StepLine } from '../../worker/training-protocol';

/** Newest steps shown. */
const SHOWN = 100;

/** The numbers of the log, newest step first: what the charts draw, for whoever reads it rather. */
export function StepTable({ lines }: { lines: readonly StepLine[] }) {
  const names = [...new Set(lines.slice(-SHOWN).flatMap((line) => Object.keys(line)))].filter(
    (name) => name !== 'step',
  );
  const shown = lines.slice(-SHOWN).reverse();
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a panel that scrolls must be reachable by keys
    <section className="step-table" tabIndex={0} aria-label="Metrics by step" data-testid="step-table">
      <table>
        <thead>
          <tr>
            <th scope="col">step</th>
            {names.map((name) => (
              <th key={name} scope="col" className="r">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((line) => (
            <tr key={line.step}>
              <th scope="row">{line.step}</th>
              {names.map((name) => (
                <td key={name} className="r">
                  {cell(line[name])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {lines.length > SHOWN && <p className="xs t3">The newest {SHOWN} steps; the export has all of them.</p>}
    </section>
  );
}

function cell(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '–';
  const text = Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
  return text.replace('-', '−');
}
