import { useMemo, useRef, useSyncExternalStore } from 'react';
import { Segmented } from '../shared/segmented';
import { chartData } from './chart-data';
import { ahaByStep, type ChartSpec, chartSpecs, type Scale } from './chart-model';
import { MetricChart } from './metric-chart';
import { LAST_STEPS } from './run-facts';
import { StepTable } from './step-table';
import { useCompared, useThrottled, useTrainServices, useTrainView } from './train-services';
import type { RunRecord } from './training-state';

/**
 * The curves of a run, with those of the runs that it is compared with in grey.
 * @param loading another run is being read: these are the last values.
 */
export function ChartGrid({ record: newest, loading }: { record: RunRecord; loading: boolean }) {
  const { trainView } = useTrainServices();
  const record = useThrottled(newest);
  const compared = useCompared();
  const smoothing = useTrainView((view) => view.smoothing);
  const more = useTrainView((view) => view.moreCharts);
  const asTable = useTrainView((view) => view.asTable);
  const theme = useThemeName();
  const scales = useRef({ run: '', by: new Map<string, Scale>() });
  const charts = useMemo(() => {
    if (scales.current.run !== record.run.run) scales.current = { run: record.run.run, by: new Map() };
    return makeCharts(record, compared, smoothing, more, scales.current.by);
  }, [record, compared, smoothing, more]);
  return (
    <section
      aria-label="Curves"
      aria-busy={loading || record.run.run !== newest.run.run}
      className="charts-section"
    >
      {asTable ? (
        <StepTable lines={record.lines} />
      ) : (
        <div className="charts" data-testid="charts">
          {charts.map(({ spec, data }) => (
            <MetricChart key={spec.name} spec={spec} data={data} theme={theme} />
          ))}
        </div>
      )}
      <div className="row chart-tools">
        {!asTable && (
          <>
            <span className="xs t3" aria-hidden="true">
              smoothing
            </span>
            <Segmented
              label="Smoothing"
              value={String(smoothing)}
              options={[
                { value: '0', label: 'none' },
                { value: '0.8', label: 'some' },
                { value: '0.95', label: 'much' },
              ]}
              onChange={(value) => trainView.setState({ smoothing: Number(value) })}
            />
            <span className="xs t3">figures: mean of last {LAST_STEPS} steps</span>
          </>
        )}
        <span className="sp row">
          {!asTable && (
            <button
              type="button"
              className="btn q small"
              aria-pressed={more}
              onClick={() => trainView.setState({ moreCharts: !more })}
            >
              {more ? 'Fewer charts' : 'More charts'}
            </button>
          )}
          <button
            type="button"
            className="btn q small"
            aria-pressed={asTable}
            onClick={() => trainView.setState({ asTable: !asTable })}
          >
            {asTable ? 'As charts' : 'As a table'}
          </button>
        </span>
      </div>
    </section>
  );
}

function makeCharts(
  record: RunRecord,
  compared: readonly RunRecord[],
  smoothing: number,
  more: boolean,
  scales: Map<string, Scale>,
): { spec: ChartSpec; data: ReturnType<typeof chartData> }[] {
  const specsOf = (one: RunRecord) => chartSpecs(one, ahaByStep(one));
  const others = compared.map((one) => {
    const { main, more } = specsOf(one);
    return { one, specs: new Map([...main, ...more].map((spec) => [spec.name, spec])) };
  });
  const own = specsOf(record);
  return (more ? [...own.main, ...own.more] : own.main).map((spec) => {
    const data = chartData(
      spec,
      record,
      // GRPO and the cold start have other charts.
      others.flatMap(({ one, specs }) => {
        const theirs = specs.get(spec.name);
        return theirs ? [{ name: one.run.name, spec: theirs, lines: one.lines }] : [];
      }),
      smoothing,
      scales.get(spec.name),
    );
    scales.set(spec.name, data.scale);
    return { spec, data };
  });
}

/** Name of the theme that is in force. */
function useThemeName(): string {
  return useSyncExternalStore(subscribeTheme, () => document.documentElement.dataset.theme ?? '');
}

function subscribeTheme(changed: () => void): () => void {
  const observer = new MutationObserver(changed);
  observer.observe(document.documentElement, { attributeFilter: ['data-theme'] });
  return () => observer.disconnect();
}
