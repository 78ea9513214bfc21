import { Fragment, useMemo, useState } from 'react';
import { splitProblem } from '../../data/question-file';
import type { CompletionRow } from '../../worker/training-protocol';
import { formatSigned, signTone } from '../shared/format';
import { Segmented } from '../shared/segmented';
import { type CompletionOrder, completionRows } from './completion-rows';
import { rewardParts, TraceText } from './group-card';
import { traceOf } from './group-facts';
import { useRecord, useThrottled } from './train-services';

/** Rows that a press of "Show more" adds. */
const PAGE = 50;

/** All answers that the run wrote, searchable; a row opens to its whole text. */
export function Completions() {
  const all = useThrottled(useRecord()?.completions);
  const [order, setOrder] = useState<CompletionOrder>('latest');
  const [search, setSearch] = useState('');
  const [count, setCount] = useState(PAGE);
  const [open, setOpen] = useState<string>();
  const rows = useMemo(() => completionRows(all ?? [], order, search), [all, order, search]);
  if (!all) return null;
  return (
    <section className="completions" aria-label="Completions" data-testid="completions">
      <div className="tg-head">
        <h2 className="h">Completions</h2>
        <span className="t3 sm">
          {search || order === 'aha' ? `${rows.length} of ` : ''}
          {all.length.toLocaleString('en')} so far
        </span>
        <span className="sp row">
          <input
            className="in search"
            type="search"
            placeholder="Search"
            aria-label="Search completions"
            value={search}
            onChange={(event) => {
              setSearch(event.target.value);
              setCount(PAGE);
            }}
          />
          <Segmented
            label="Order of completions"
            value={order}
            options={[
              { value: 'latest', label: 'latest' },
              { value: 'lowest', label: 'lowest reward' },
              { value: 'aha', label: 'with aha' },
            ]}
            onChange={setOrder}
          />
        </span>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a panel that scrolls must be reachable by keys */}
      <section className="completion-scroll" tabIndex={0} aria-label="Table of completions">
        <table>
          <thead>
            <tr>
              <th scope="col">step</th>
              <th scope="col">question</th>
              <th scope="col">answer</th>
              <th scope="col">label</th>
              <th scope="col" className="r">
                reward
              </th>
              <th scope="col" className="r">
                advantage
              </th>
              <th scope="col" className="r">
                tokens
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, count).map((row) => {
              const id = `${row.step} ${row.question} ${row.sample}`;
              return (
                <Fragment key={id}>
                  <Row row={row} open={open === id} onOpen={() => setOpen(open === id ? undefined : id)} />
                  {open === id && <Whole row={row} />}
                </Fragment>
              );
            })}
          </tbody>
        </table>
        {rows.length === 0 && (
          <p className="t3 sm none">{all.length === 0 ? 'None yet.' : 'Nothing matches.'}</p>
        )}
        {rows.length > count && (
          <button type="button" className="btn q small" onClick={() => setCount(count + PAGE)}>
            Show more
          </button>
        )}
      </section>
    </section>
  );
}

function Row({ row, open, onOpen }: { row: CompletionRow; open: boolean; onOpen: () => void }) {
  return (
    <tr data-testid="completion">
      <td className="t3">{row.step}</td>
      <td>
        <button type="button" className="ell" aria-expanded={open} onClick={onOpen}>
          {splitProblem(row.prompt).question || row.prompt}
        </button>
      </td>
      <td>{row.answer ? <b>{row.answer}</b> : <span className="t3">none</span>}</td>
      <td className="t2">{row.solution}</td>
      <td className={`r med ${signTone(row.reward)}`}>{formatSigned(row.reward)}</td>
      <td className={`r ${signTone(row.advantage)}`}>{formatSigned(row.advantage)}</td>
      <td className="r t2">
        {row.tokens}
        {!row.terminated && (
          <span className="neg" title="cut off at max_completion_length">
            {' '}
            cut
          </span>
        )}
      </td>
    </tr>
  );
}

function Whole({ row }: { row: CompletionRow }) {
  return (
    <tr className="whole">
      <td />
      <td colSpan={6}>
        <p className="t2">
          <TraceText trace={traceOf(row)} />
        </p>
        <p className="xs t3">{rewardParts(row.rewards)}</p>
      </td>
    </tr>
  );
}
