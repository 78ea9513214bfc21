import { Dialog } from '../shared/dialog';
import { formatSigned } from '../shared/format';
import { LAST_STEPS, lastMean, percent, STATE_CHIP, secondsPerStep } from './run-facts';
import { settingDifferences } from './setting-differences';
import { useCompared, useRecord } from './train-services';
import type { RunRecord } from './training-state';

/** The run that is shown and those laid behind it, side by side: in what their settings differ, and what came of it. */
export function CompareDialog() {
  return (
    <Dialog name="compare" title="Compare runs" className="wide">
      <Comparison />
    </Dialog>
  );
}

function Comparison() {
  const shown = useRecord();
  const compared = useCompared();
  const records = shown ? [shown, ...compared] : compared;
  const settings = settingDifferences(records.map(({ config }) => config));
  const models = new Set(records.map(({ run }) => run.model));
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a panel that scrolls must be reachable by keys
    <section className="compare-table" tabIndex={0} aria-label="Runs side by side" data-testid="compare">
      <table>
        <thead>
          <tr>
            <td />
            {records.map(({ run }, place) => (
              <th key={run.run} scope="col">
                <i
                  className="sw"
                  style={{ background: `var(${run === shown?.run ? '--c1' : '--c-ghost'})` }}
                  aria-hidden="true"
                />
                {run.name}
                {place === 0 && shown ? <span className="t3"> shown</span> : null}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          <Head text="Settings that differ" span={records.length} />
          {models.size > 1 && <Row name="model" values={records.map(({ run }) => run.model)} />}
          {settings.length === 0 ? (
            <tr>
              <td colSpan={records.length + 1} className="t3">
                None: these runs have the same settings.
              </td>
            </tr>
          ) : (
            settings.map(({ name, values }) => <Row key={name} name={name} values={values} mono />)
          )}
          <Head
            text="What came of it"
            note={`curves: mean of last ${LAST_STEPS} steps`}
            span={records.length}
          />
          {RESULTS.map(({ name, title, value }) => (
            <Row
              key={name}
              name={name}
              title={title}
              values={records.map((record) => value(record) ?? '–')}
            />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Head({ text, note, span }: { text: string; note?: string; span: number }) {
  return (
    <tr>
      <th scope="rowgroup" colSpan={span + 1} className="compare-head">
        {text}
        {note && <span className="xs t3"> {note}</span>}
      </th>
    </tr>
  );
}

function Row({
  name,
  title,
  values,
  mono = false,
}: {
  name: string;
  title?: string | undefined;
  values: readonly string[];
  mono?: boolean;
}) {
  return (
    <tr>
      <th scope="row" className={mono ? 'mono t2' : 't2'} title={title}>
        {name}
      </th>
      {values.map((value, place) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the place is the run
        <td key={place} className={mono ? 'mono' : ''}>
          {value}
        </td>
      ))}
    </tr>
  );
}

const share = (value: number | undefined) => (value === undefined ? undefined : percent(value));

/** Of what the log has under a key, as over the curves. */
function mean({ lines }: RunRecord, key: string, digits: number): string | undefined {
  return lastMean(lines.map((line) => line[key]))
    ?.toFixed(digits)
    .replace('-', '−');
}

const OF_LAST = `Mean of the last ${LAST_STEPS} steps`;

const RESULTS: readonly {
  name: string;
  title?: string;
  value: (record: RunRecord) => string | undefined;
}[] = [
  {
    name: 'steps',
    value: ({ run }) => `${run.step} of ${run.max_steps}, ${STATE_CHIP[run.state].text}`,
  },
  {
    name: 'reward',
    title: `${OF_LAST}. Comparable only between runs of the same rewards.`,
    value: ({ run }) => (run.reward === undefined ? undefined : formatSigned(run.reward)),
  },
  {
    name: 'held-out before',
    title: 'Sampled answers to the held-out questions',
    value: ({ evals }) => share(evals.find(({ step }) => step === 0)?.accuracy_sampled),
  },
  {
    name: 'held-out last',
    title: 'Sampled answers to the same questions, at the last check',
    value: ({ evals }) => {
      const line = evals.findLast(({ step }) => step > 0);
      return line && `${share(line.accuracy_sampled)} at step ${line.step}`;
    },
  },
  { name: 'check themselves', value: ({ evals }) => share(evals.at(-1)?.self_check_rate) },
  { name: 'kl', title: OF_LAST, value: (record) => mean(record, 'kl', 3) },
  {
    name: 'completion_length',
    title: OF_LAST,
    value: (record) => mean(record, 'completions/mean_length', 0),
  },
  {
    name: 'seconds per step',
    title: OF_LAST,
    value: ({ lines }) => secondsPerStep(lines)?.toFixed(1),
  },
];
