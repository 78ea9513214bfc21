import type {
  AnswerReward,
  AnswerStats,
  EngineEvent,
  FinishReason,
  Question,
  SamplingSettings,
  TokenInfo,
  Trace,
} from '../../worker/protocol';
import { type AnswerState, BASE, type EngineState, runningAnswer, type SampleState } from './engine-state';
import { forkedSample } from './fork-answer';

/** Answers kept for the session list. */
export const MAX_ANSWERS = 50;

/** What the page does with answers. */
export type AnswerAction =
  | {
      type: 'page/ask';
      id: number;
      question: Question;
      settings: SamplingSettings;
      num_generations: number;
      label?: string | undefined;
      /** Ids, '' for the base; left out: the base alone. */
      adapters?: readonly string[];
    }
  /** Goes on from an alternative of token `position` of an answer that has ended. */
  | {
      type: 'page/fork';
      id: number;
      answer: number;
      sample: number;
      position: number;
      /** Id of the token to go on from. */
      alternative: number;
    };

type AnswerEvent = Extract<EngineEvent, { type: 'ask-started' | 'tokens' | 'answered' | 'ask-done' }>;

/**
 * The state after an event or an action that concerns answers. Events of an answer that does not run any more, and
 * forks of a token that is not there, leave the state as it is: the same object comes back.
 */
export function reduceAnswers(state: EngineState, event: AnswerEvent | AnswerAction): EngineState {
  switch (event.type) {
    case 'page/ask': {
      const { id, question, settings, label, num_generations, adapters = [BASE] } = event;
      const total = num_generations * adapters.length;
      return add(state, {
        ...about(state),
        id,
        question,
        settings,
        ...(label === undefined ? {} : { label }),
        ...(adapters.every((adapter) => adapter === BASE) ? {} : { adapters: adapterNames(state, adapters) }),
        samples: Array.from({ length: total }, () => ({ status: 'prefill', tokens: [], count: 0 })),
      });
    }
    case 'page/fork':
      return fork(state, event);
    case 'ask-started':
      return onRunning(state, event.id, (answer) => ({ ...answer, promptTokens: event.promptTokens }));
    case 'tokens':
      return onSample(state, event, (sample) => ({
        ...append(sample, event.tokens),
        status: 'streaming',
        trace: event.trace,
        stats: event.stats,
      }));
    case 'answered':
      return onSample(state, event, (sample) => ended(sample, event));
    case 'ask-done': {
      const { id, group } = event;
      if (!state.answers.some((answer) => answer.id === id && answer.status !== 'failed')) return state;
      const answers = state.answers.map((answer) =>
        answer.id === id ? { ...answer, status: 'done' as const, group } : answer,
      );
      return { ...state, answers };
    }
  }
}

/** Marks what is being written as failed; what was written stays. */
export function failRunning(state: EngineState): EngineState {
  const running = runningAnswer(state);
  if (!running) return state;
  const samples = running.samples.map((sample) =>
    sample.status === 'done' ? sample : { ...sample, status: 'failed' as const },
  );
  return onRunning(state, running.id, ({ progress: _, ...answer }) => ({
    ...answer,
    samples,
    status: 'failed',
  }));
}

/** Changes the answer that runs, if it is the one with this id. */
export function onRunning(
  state: EngineState,
  id: number,
  change: (answer: AnswerState) => AnswerState,
): EngineState {
  const running = runningAnswer(state);
  return running?.id === id ? { ...state, answers: [...state.answers.slice(0, -1), change(running)] } : state;
}

function adapterNames({ adapters }: EngineState, ids: readonly string[]): string[] {
  return ids.map((id) => adapters.find(({ adapter }) => adapter === id)?.name ?? 'base');
}

/** What an answer keeps of the model and the video that it is about. */
function about(state: EngineState): Pick<AnswerState, 'model' | 'videoName' | 'videoUrl' | 'status'> {
  const { video, model } = state;
  return {
    model: model.name,
    videoName: video?.name ?? '',
    videoUrl: video?.url ?? '',
    ...(video?.readMs === undefined ? {} : { readMs: video.readMs }),
    ...(video?.encodeMs === undefined ? {} : { encodeMs: video.encodeMs }),
    status: 'prefill',
  };
}

function add(state: EngineState, answer: AnswerState): EngineState {
  return { ...state, answers: [...state.answers.slice(1 - MAX_ANSWERS), answer] };
}

function fork(state: EngineState, event: Extract<AnswerAction, { type: 'page/fork' }>): EngineState {
  const { id, position } = event;
  const origin = state.answers.find((answer) => answer.id === event.answer);
  const from = origin?.samples[event.sample];
  const sample = from && forkedSample(from, position, event.alternative, origin.settings);
  if (!sample) return state;
  return add(state, {
    ...about(state),
    id,
    question: origin.question,
    settings: origin.settings,
    ...(origin.label === undefined ? {} : { label: origin.label }),
    samples: [sample],
    fork: { answer: event.answer, sample: event.sample, position, from: from.tokens[position]!.text },
  });
}

function onSample(
  state: EngineState,
  event: { id: number; sample: number },
  change: (sample: SampleState) => SampleState,
): EngineState {
  return onRunning(state, event.id, ({ progress: _, ...answer }) => {
    const sample = answer.samples[event.sample];
    if (!sample || sample.status === 'done') return answer;
    const samples = answer.samples.with(event.sample, change(sample));
    const done = samples.every(({ status }) => status === 'done');
    return { ...answer, samples, status: done ? 'done' : 'streaming' };
  });
}

/**
 * A sample with tokens added to its own array. States before it share the array and read no further than their own
 * count, so none of them changes; only one that is taken up again after it has moved on gets a copy.
 */
function append(sample: SampleState, fresh: readonly TokenInfo[]): SampleState {
  if (fresh.length === 0) return sample;
  const tokens = sample.tokens.length === sample.count ? sample.tokens : sample.tokens.slice(0, sample.count);
  for (const token of fresh) tokens.push(token);
  return { ...sample, tokens, count: tokens.length };
}

function ended(
  sample: SampleState,
  {
    trace,
    stats,
    reason,
    reward,
  }: { trace: Trace; stats: AnswerStats; reason: FinishReason; reward?: AnswerReward },
): SampleState {
  return { ...sample, status: 'done', trace, stats, reason, ...(reward ? { reward } : {}) };
}
