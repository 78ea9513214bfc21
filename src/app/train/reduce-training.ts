import type { EngineError } from '../../worker/protocol';
import type {
  LiveSettings,
  RunConfig,
  RunSummary,
  StepLine,
  TrainingEvent,
} from '../../worker/training-protocol';
import { lastMean } from './run-facts';
import { isActive, type LiveGroup, type LiveRun, type RunRecord, type TrainingState } from './training-state';

/** What the page itself does, beside the engine's events. */
export type TrainingAction =
  /** Shows a run; undefined sets up a new one. */
  | { type: 'page/show-run'; run: string | undefined }
  | { type: 'page/train-error'; error: EngineError | undefined }
  /** The page has sent changed settings of the live run. */
  | { type: 'page/changed'; run: string; settings: Partial<RunConfig['grpo']> }
  /** Settings that a paused run is to go on with, in the place of those before. */
  | { type: 'page/changes'; run: string; changes: LiveSettings }
  /** The page has asked the live run to end. */
  | { type: 'page/ending'; how: 'pause' | 'stop' }
  /** A run is asked to start or to go on; or that has come about, or not. */
  | { type: 'page/beginning'; on: boolean }
  | { type: 'page/renamed'; run: string; name: string }
  | { type: 'page/deleted'; run: string }
  /** The engine's thread is gone: what ran can go on from its last checkpoint. */
  | { type: 'page/engine-gone' };

/** Completions kept for the table; older ones stay in the run's export. */
export const MAX_COMPLETIONS = 20_000;

/** The state after an event of the engine or an action of the page. Pure. */
export function reduceTraining(state: TrainingState, event: TrainingEvent | TrainingAction): TrainingState {
  switch (event.type) {
    case 'page/show-run': {
      const { shown: _, error: __, ...rest } = state;
      return event.run === undefined ? rest : { ...rest, shown: event.run };
    }
    case 'page/train-error': {
      const { error: _, ...rest } = state;
      return event.error ? { ...rest, error: event.error } : rest;
    }
    case 'page/changed': {
      const before = state.records[event.run]?.config;
      if (!before) return state;
      const config = { ...before, grpo: { ...before.grpo, ...event.settings } };
      const next = onRecord(state, event.run, (record) => ({ ...record, config }));
      return onSummary(next, event.run, { config, max_steps: config.grpo.max_steps });
    }
    case 'page/changes':
      return onRecord(state, event.run, (record) => ({ ...record, changes: event.changes }));
    case 'page/ending':
      return isActive(state.live) ? { ...state, live: { ...state.live!, ending: event.how } } : state;
    case 'page/beginning': {
      const { beginning: _, ...rest } = state;
      return event.on ? { ...rest, beginning: true } : rest;
    }
    case 'page/renamed':
      return onSummary(state, event.run, { name: event.name });
    case 'page/deleted':
      return deleted(state, event.run);
    case 'page/engine-gone':
      return state.live && (state.live.state === 'running' || state.live.state === 'compiling')
        ? runState(state, {
            type: 'run-state',
            run: state.live.run,
            state: 'failed',
            step: summaryOf(state, state.live.run)?.step ?? 0,
            message: 'The engine stopped.',
          })
        : state;
    case 'runs':
      return listed(state, event.runs);
    case 'run-data': {
      const { type: _, id: __, ...record } = event;
      const lines = record.lines.reduce<StepLine[]>(withLine, []);
      return onSummary(
        { ...state, records: { ...state.records, [event.run.run]: { ...record, lines } } },
        event.run.run,
        event.run,
      );
    }
    case 'run-started':
      return started(state, event.run, event.config);
    case 'run-state':
      return runState(state, event);
    case 'run-progress':
      return onLive(state, event.run, (live) => ({
        ...live,
        progress: { label: event.label, done: event.done, total: event.total },
      }));
    case 'group-started':
    case 'group-traces':
    case 'group-scored':
      return reduceGroup(state, event);
    case 'run-step': {
      const { line } = event;
      const next = onRecord(state, event.run, (record) => ({
        ...record,
        lines: withLine([...record.lines], line),
      }));
      return onSummary(next, event.run, {
        step: line.step,
        ...(line.reward === undefined ? {} : { reward: meanReward(next, event.run) ?? line.reward }),
      });
    }
    case 'run-eval':
      return onSummary(
        onRecord(state, event.run, (record) => ({
          ...record,
          evals: [...record.evals.filter(({ step }) => step < event.line.step), event.line],
        })),
        event.run,
        { eval_accuracy: event.line.accuracy_sampled },
      );
    case 'run-event': {
      const { event: happened } = event;
      const next = onRecord(state, event.run, (record) => ({
        ...record,
        events: [...record.events, happened],
        ...(happened.code === 'saved' && !record.checkpoints.includes(happened.step)
          ? { checkpoints: [...record.checkpoints, happened.step] }
          : {}),
      }));
      return happened.code === 'saved'
        ? onSummary(next, event.run, { saved_step: happened.step })
        : happened.code === 'resumed'
          ? resumed(next, event.run, happened.step)
          : next;
    }
    case 'runs-changed':
    case 'score-answers':
    case 'data-report':
    case 'memory-plan':
    case 'run-files':
    case 'adapters':
      return state;
  }
}

/** The summary of a run, from the list or from what was read of it. */
export function summaryOf(state: TrainingState, run: string | undefined): RunSummary | undefined {
  if (run === undefined) return undefined;
  return state.runs?.find((one) => one.run === run) ?? state.records[run]?.run;
}

function started(state: TrainingState, run: RunSummary, config: RunConfig): TrainingState {
  const { error: _, ...rest } = state;
  const none = { lines: [], evals: [], events: [], completions: [], checkpoints: [] };
  // What was changed while it was paused is in its settings now.
  const { changes: _changes, ...before } = state.records[run.run] ?? { ...none, changes: {} };
  const record: RunRecord = { ...before, run, config };
  const runs = [run, ...(state.runs ?? []).filter((one) => one.run !== run.run)];
  runs.sort((a, b) => b.created - a.created);
  return {
    ...rest,
    runs,
    shown: run.run,
    records: { ...state.records, [run.run]: record },
    live: { run: run.run, state: run.state, groups: [] },
  };
}

function listed(state: TrainingState, runs: readonly RunSummary[]): TrainingState {
  const sorted = [...runs].sort((a, b) => b.created - a.created);
  const records = { ...state.records };
  for (const run of sorted) {
    const record = records[run.run];
    if (record) records[run.run] = { ...record, run };
  }
  const next = { ...state, runs: sorted, records };
  // What ended here goes on in another tab, or went on there: what this tab knew of it counts no more.
  const { live } = state;
  const now = live && !isActive(live) ? sorted.find(({ run }) => run === live.run) : undefined;
  const before = now && summaryOf(state, now.run);
  if (now && (now.state !== before?.state || now.step !== before.step)) delete next.live;
  // Deleted in another tab.
  const gone = next.shown !== next.live?.run && !sorted.some(({ run }) => run === next.shown);
  if (gone) delete next.shown;
  return next;
}

function deleted(state: TrainingState, run: string): TrainingState {
  const { [run]: _, ...records } = state.records;
  const next = { ...state, runs: (state.runs ?? []).filter((one) => one.run !== run), records };
  if (next.live?.run === run) delete next.live;
  if (next.shown === run) delete next.shown;
  return next;
}

function runState(state: TrainingState, event: Extract<TrainingEvent, { type: 'run-state' }>): TrainingState {
  const before = state.live?.run === event.run ? state.live : undefined;
  const goesOn = event.state === 'compiling' || event.state === 'running';
  const live: LiveRun = {
    run: event.run,
    state: event.state,
    groups: goesOn ? (before?.groups ?? []) : dropUnscored(before?.groups ?? []),
    ...(event.detail === undefined ? {} : { detail: event.detail }),
    ...(event.message === undefined ? {} : { message: event.message }),
    ...(event.suggestions ? { suggestions: event.suggestions } : {}),
    ...(goesOn && before?.progress ? { progress: before.progress } : {}),
    ...(goesOn && before?.repeats ? { repeats: before.repeats } : {}),
    ...(goesOn && before?.ending ? { ending: before.ending } : {}),
  };
  return onSummary({ ...state, live }, event.run, { state: event.state, step: event.step });
}

/** Answers that were being written when a run paused are dropped by the engine too. */
function dropUnscored(groups: readonly LiveGroup[]): readonly LiveGroup[] {
  return groups.filter(({ rows }) => rows !== undefined);
}

function reduceGroup(
  state: TrainingState,
  event: Extract<TrainingEvent, { type: 'group-started' | 'group-traces' | 'group-scored' }>,
): TrainingState {
  if (event.type === 'group-started') {
    const { step, question, prompt, solution, settings, num_generations } = event;
    const group: LiveGroup = {
      step,
      question,
      prompt,
      solution,
      max_new_tokens: settings.max_new_tokens,
      answers: new Array<undefined>(num_generations).fill(undefined),
    };
    return onLive(state, event.run, (live) => ({
      ...live,
      groups: [...live.groups.filter((one) => one.step === step && one.question !== question), group],
    }));
  }
  const change = (groups: readonly LiveGroup[], to: (group: LiveGroup) => LiveGroup) =>
    groups.map((group) => (group.question === event.question ? to(group) : group));
  if (event.type === 'group-traces') {
    return onLive(state, event.run, (live) => ({
      ...live,
      groups: change(live.groups, (group) => {
        const answers = [...group.answers];
        for (const answer of event.answers) answers[answer.sample] = answer;
        return { ...group, answers };
      }),
    }));
  }
  const { rows } = event;
  const next = onLive(state, event.run, (live) => ({
    ...live,
    groups: change(live.groups, (group) => ({ ...group, rows })),
  }));
  return onRecord(next, event.run, (record) => ({
    ...record,
    completions: [...record.completions, ...rows].slice(-MAX_COMPLETIONS),
  }));
}

/** A run goes on from `step`: what an earlier attempt had done after it is done again. */
function resumed(state: TrainingState, run: string, step: number): TrainingState {
  const reached = state.records[run]?.lines.at(-1)?.step ?? step;
  const next = onRecord(state, run, (record) => ({
    ...record,
    lines: record.lines.filter((line) => line.step <= step),
    evals: record.evals.filter((line) => line.step <= step),
    completions: record.completions.filter((row) => row.step <= step),
    checkpoints: record.checkpoints.filter((saved) => saved <= step),
  }));
  return reached > step ? onLive(next, run, (live) => ({ ...live, repeats: { from: step, reached } })) : next;
}

function withLine(lines: StepLine[], line: StepLine): StepLine[] {
  while (lines.length > 0 && lines.at(-1)!.step >= line.step) lines.pop();
  lines.push(line);
  return lines;
}

/** As the engine's own summary has it. */
function meanReward(state: TrainingState, run: string): number | undefined {
  return lastMean((state.records[run]?.lines ?? []).map(({ reward }) => reward));
}

function onLive(state: TrainingState, run: string, change: (live: LiveRun) => LiveRun): TrainingState {
  return state.live?.run === run ? { ...state, live: change(state.live) } : state;
}

function onRecord(
  state: TrainingState,
  run: string,
  change: (record: RunRecord) => RunRecord,
): TrainingState {
  const record = state.records[run];
  return record ? { ...state, records: { ...state.records, [run]: change(record) } } : state;
}

function onSummary(state: TrainingState, run: string, change: Partial<RunSummary>): TrainingState {
  const next = onRecord(state, run, (record) => ({ ...record, run: { ...record.run, ...change } }));
  if (!next.runs) return next;
  return { ...next, runs: next.runs.map((one) => (one.run === run ? { ...one, ...change } : one)) };
}
