import { describe, expect, it } from 'vitest';
import { type EngineState, INITIAL_ENGINE_STATE, runningAnswer } from '../../src/app/store/engine-state';
import { MAX_ANSWERS } from '../../src/app/store/reduce-answers';
import { type PageAction, reduceEvent } from '../../src/app/store/reduce-event';
import type { AnswerStats, EngineError, EngineEvent, TokenInfo, Trace } from '../../src/worker/protocol';

const settings = { temperature: 1, top_k: 0, top_p: 1, max_new_tokens: 8, seed: 1 };
const question = { text: 'What moves?', options: ['a', 'b'], reasoning: true };
const stats: AnswerStats = {
  promptTokens: 10,
  visualTokens: 4,
  newTokens: 1,
  timeToFirstTokenMs: 5,
  prefillMs: 4,
  decodeMs: 3,
  tokensPerSecond: 2,
};
const trace: Trace = { phase: 'think', text: '<think>', sentences: [], problems: [] };
const token = (text: string): TokenInfo => ({
  id: 1,
  text,
  prob: 1,
  logp: 0,
  rank: 1,
  entropy: 0,
  alternatives: [],
});
const model = {
  name: 'toy',
  parameters: 1,
  weightBytes: 2,
  frames: 8,
  visualTokens: 4,
  imageSize: 64,
  vocabSize: 9,
  backend: 'ort',
};

function play(...events: (EngineEvent | PageAction)[]): EngineState {
  return events.reduce<EngineState>(reduceEvent, INITIAL_ENGINE_STATE);
}

const load: PageAction = {
  type: 'page/load-model',
  id: 1,
  source: { kind: 'url', url: 'm/' },
  name: 'toy',
  recorded: false,
};
const ready: EngineEvent = { type: 'model-ready', id: 1, model };
const open = (id: number, name = `${id}.mp4`): PageAction => ({
  type: 'page/open-video',
  id,
  file: new Blob(),
  name,
  url: `blob:${id}`,
  sampling: 'uniform',
});
const videoReady = (id: number): EngineEvent => ({ type: 'video-ready', id, readMs: 1, encodeMs: 2 });
const ask = (id: number, num_generations = 1): PageAction => ({
  type: 'page/ask',
  id,
  question,
  settings,
  num_generations,
  label: 'B',
});
const failed = (scope: EngineError['scope'], id: number, code = 'x'): EngineEvent => ({
  type: 'error',
  id,
  error: { scope, code, title: 'T.', message: 'M.' },
});

describe('reduceEvent', () => {
  it('takes a model from loading to ready, and drops its progress', () => {
    const loading = play(load, {
      type: 'progress',
      scope: 'model',
      id: 1,
      label: 'Weights',
      done: 1,
      total: 4,
    });
    expect(loading.model).toMatchObject({ status: 'loading', progress: { done: 1, total: 4 } });
    const after = reduceEvent(loading, ready);
    expect(after.model.status).toBe('ready');
    expect(after.model.progress).toBeUndefined();
  });

  it('drops events of an older request, and says so by the same object', () => {
    const state = play(load, ready, open(2), open(3));
    expect(reduceEvent(state, videoReady(2))).toBe(state);
    expect(reduceEvent(state, failed('video', 2))).toBe(state);
    expect(reduceEvent(state, { type: 'model-ready', id: 7, model })).toBe(state);
    expect(reduceEvent(state, { type: 'tokens', id: 2, sample: 0, tokens: [token('a')], trace, stats })).toBe(
      state,
    );
  });

  it('sorts frames by index and replaces one that comes again', () => {
    const thumbnails = [1, 2, 3].map((n) => ({ n }) as unknown as ImageBitmap);
    const frame = (index: number, n: number): EngineEvent => ({
      type: 'frame',
      id: 2,
      index,
      time: index / 4,
      thumbnail: thumbnails[n]!,
    });
    const { video } = play(open(2), frame(1, 0), frame(0, 1), frame(1, 2));
    expect(video?.frames.map(({ index, thumbnail }) => [index, thumbnail])).toEqual([
      [0, thumbnails[1]],
      [1, thumbnails[2]],
    ]);
  });

  it('adds tokens up, and ends the answer', () => {
    const asked = play(load, ready, open(2), videoReady(2), ask(3));
    expect(runningAnswer(asked)).toMatchObject({ status: 'prefill', label: 'B', readMs: 1, encodeMs: 2 });
    const streaming = [token('a'), token('b')].reduce(
      (state, one) => reduceEvent(state, { type: 'tokens', id: 3, sample: 0, tokens: [one], trace, stats }),
      asked,
    );
    expect(runningAnswer(streaming)?.samples[0]?.tokens.map(({ text }) => text)).toEqual(['a', 'b']);
    const done = reduceEvent(streaming, {
      type: 'answered',
      id: 3,
      sample: 0,
      trace,
      stats,
      reason: 'stopped',
    });
    expect(runningAnswer(done)).toBeUndefined();
    expect(done.answers[0]).toMatchObject({
      status: 'done',
      samples: [{ status: 'done', reason: 'stopped' }],
    });
    expect(reduceEvent(done, { type: 'tokens', id: 3, sample: 0, tokens: [token('c')], trace, stats })).toBe(
      done,
    );
  });

  it('keeps the trace so far when an answer fails, and the question can be asked again', () => {
    const state = play(
      ...[load, ready, open(2), videoReady(2), ask(3)],
      { type: 'tokens', id: 3, sample: 0, tokens: [token('a')], trace, stats },
      failed('ask', 3),
    );
    expect(state.answers[0]).toMatchObject({ status: 'failed', question });
    expect(state.answers[0]?.samples[0]).toMatchObject({ status: 'failed', count: 1 });
    expect(state.errors.ask?.title).toBe('T.');
    expect(reduceEvent(state, ask(4)).errors.ask).toBeUndefined();
  });

  it('fills the samples of a group one by one, and ends with what is known of all', () => {
    const asked = play(load, ready, open(2), videoReady(2), ask(3, 2));
    const to = (sample: number, text: string): EngineEvent => ({
      type: 'tokens',
      id: 3,
      sample,
      tokens: [token(text)],
      trace,
      stats,
    });
    const end = (sample: number): EngineEvent => ({
      type: 'answered',
      id: 3,
      sample,
      trace,
      stats,
      reason: 'eos',
      reward: { reward: sample },
    });
    const first = [to(0, 'a'), to(1, 'b'), end(0)].reduce<EngineState>(reduceEvent, asked);
    expect(runningAnswer(first)?.samples.map(({ status }) => status)).toEqual(['done', 'streaming']);
    // An answer that has ended takes no more tokens, and one that is not there takes none.
    expect(runningAnswer(reduceEvent(first, to(0, 'c')))?.samples[0]).toBe(first.answers[0]?.samples[0]);
    expect(runningAnswer(reduceEvent(first, to(5, 'c')))?.samples).toHaveLength(2);
    const done = reduceEvent(first, end(1));
    expect(runningAnswer(done)).toBeUndefined();
    expect(done.answers[0]?.samples.map(({ reward }) => reward?.reward)).toEqual([0, 1]);
    const group = {
      prefixTokens: 4,
      prefillMs: 1,
      decodeMs: 1,
      newTokens: 2,
      tokensPerSecond: 2,
      kvBytes: 8,
    };
    expect(reduceEvent(done, { type: 'ask-done', id: 3, group }).answers[0]?.group).toBe(group);
    const failing = reduceEvent(first, failed('ask', 3));
    expect(failing.answers[0]?.samples.map(({ status }) => status)).toEqual(['done', 'failed']);
    expect(reduceEvent(failing, { type: 'ask-done', id: 3, group })).toBe(failing);
  });

  it('adds tokens without copying those that are there, and without changing a state before', () => {
    const asked = play(load, ready, open(2), videoReady(2), ask(3));
    const add = (state: EngineState, text: string) =>
      reduceEvent(state, { type: 'tokens', id: 3, sample: 0, tokens: [token(text)], trace, stats });
    const texts = (state: EngineState) => {
      const { tokens, count } = state.answers[0]!.samples[0]!;
      return tokens.slice(0, count).map(({ text }) => text);
    };
    const one = add(asked, 'a');
    const two = add(one, 'b');
    expect(two.answers[0]!.samples[0]!.tokens).toBe(one.answers[0]!.samples[0]!.tokens);
    expect([texts(asked), texts(one), texts(two)]).toEqual([[], ['a'], ['a', 'b']]);
    const other = add(one, 'c');
    expect([texts(one), texts(two), texts(other)]).toEqual([['a'], ['a', 'b'], ['a', 'c']]);
  });

  it('puts a fork beside its origin, with what they share, and forks it again', () => {
    const choice = { ...token(' b'), alternatives: [{ id: 7, text: ' c', prob: 0.2, kept: true }] };
    const asked = play(load, ready, open(2), videoReady(2), ask(3));
    const events: EngineEvent[] = [
      { type: 'tokens', id: 3, sample: 0, tokens: [token('a'), choice, token(' d')], trace, stats },
      { type: 'answered', id: 3, sample: 0, trace, stats, reason: 'eos' },
    ];
    const done = events.reduce<EngineState>(reduceEvent, asked);
    const fork = { type: 'page/fork', id: 4, answer: 3, sample: 0, position: 1, alternative: 7 } as const;
    const forked = reduceEvent(done, fork);
    expect(forked.answers).toHaveLength(2);
    expect(runningAnswer(forked)).toMatchObject({
      question,
      label: 'B',
      samples: [{ status: 'prefill', count: 2 }],
      fork: { answer: 3, sample: 0, position: 1, from: ' b' },
    });
    expect(forked.answers[0]).toBe(done.answers[0]);
    expect(reduceEvent(done, { ...fork, alternative: 8 })).toBe(done);
    expect(reduceEvent(done, { ...fork, answer: 9 })).toBe(done);
    const ended = reduceEvent(forked, { type: 'answered', id: 4, sample: 0, trace, stats, reason: 'eos' });
    const again = reduceEvent(ended, { ...fork, id: 5, answer: 4, position: 1, alternative: 7 });
    // The forced token has its own alternatives' list, but is not an alternative to itself.
    expect(again).toBe(ended);
  });

  it('goes back to the video before when a file cannot be read', () => {
    const state = play(open(2, 'good.mp4'), videoReady(2), open(3, 'bad.txt'), failed('video', 3));
    expect(state.video).toMatchObject({ id: 2, name: 'good.mp4', status: 'ready' });
    expect(state.previousVideo).toBeUndefined();
    expect(state.errors.video?.message).toBe('M. good.mp4 stays open.');
  });

  it('keeps the last readable video through two bad files in a row', () => {
    const state = play(
      open(2, 'good.mp4'),
      videoReady(2),
      open(3),
      open(4),
      failed('video', 3),
      failed('video', 4),
    );
    expect(state.video?.name).toBe('good.mp4');
  });

  it('falls back to a video that was being read again after a loss of the GPU', () => {
    const state = play(
      ...[load, ready, open(2, 'good.mp4'), videoReady(2)],
      { type: 'device-lost', reason: '' },
      open(3),
      failed('video', 3),
    );
    expect(state.video).toMatchObject({ name: 'good.mp4', status: 'reading' });
  });

  it('marks a first file that cannot be read', () => {
    expect(play(open(2), failed('video', 2)).video?.status).toBe('failed');
  });

  it('recovers from the loss of the GPU once model and video are back', () => {
    const lost = play(load, ready, open(2), videoReady(2), ask(3), {
      type: 'device-lost',
      reason: 'It was reset',
    });
    expect(lost).toMatchObject({
      recovering: true,
      model: { status: 'loading' },
      video: { status: 'reading' },
    });
    expect(lost.answers[0]?.status).toBe('failed');
    expect(lost.errors.gpu?.message).toMatch(/^It was reset\. .*rest of the last answer is lost\.$/);
    const reloaded = reduceEvent(lost, ready);
    expect(reloaded.recovering).toBe(true);
    // The engine reads its last video again under the same id.
    const reopened = reduceEvent(reloaded, videoReady(2));
    expect(reopened).toMatchObject({ recovering: false, video: { status: 'ready' } });
    expect(reopened.errors.gpu?.code).toBe('device-recovered');
    expect(reduceEvent(reopened, ask(6)).errors.gpu).toBeUndefined();
  });

  it('says nothing of a lost answer where none was written', () => {
    const { errors } = play(load, ready, { type: 'device-lost', reason: '' });
    expect(errors.gpu?.message).not.toMatch(/answer/);
  });

  it('keeps a limited number of answers, the newest', () => {
    let state = play(load, ready, open(2), videoReady(2));
    for (let id = 10; id < 10 + MAX_ANSWERS + 5; id++) {
      state = [ask(id), { type: 'answered', id, sample: 0, trace, stats, reason: 'eos' } as const].reduce(
        reduceEvent,
        state,
      );
    }
    expect(state.answers).toHaveLength(MAX_ANSWERS);
    expect(state.answers.at(-1)?.id).toBe(10 + MAX_ANSWERS + 4);
  });
});

describe('a model that cannot be loaded', () => {
  const other: PageAction = {
    type: 'page/load-model',
    id: 2,
    source: { kind: 'files', files: [] },
    name: 'mine',
    recorded: false,
  };
  const error: EngineError = {
    scope: 'model',
    code: 'checkpoint',
    title: 'No.',
    message: 'A shard is missing.',
  };

  it('leaves the one before it, where the engine has kept it', () => {
    const state = play(load, ready, other, { type: 'error', id: 2, error, model_kept: 1 });
    expect(state.model).toMatchObject({ id: 1, name: 'toy', status: 'ready', info: model });
    expect(state.errors.model?.message).toBe('A shard is missing. toy stays loaded.');
    expect(state.previousModel).toBeUndefined();
  });

  it('fails where the engine has none, and once another one is ready there is nothing to go back to', () => {
    expect(play(load, ready, other, { type: 'error', id: 2, error }).model.status).toBe('failed');
    expect(play(load, ready, other, { type: 'model-ready', id: 2, model }).previousModel).toBeUndefined();
  });

  it('does not fail the newer one that is being loaded', () => {
    const loading = play(load, other);
    expect(reduceEvent(loading, { type: 'error', id: 1, error })).toBe(loading);
    expect(reduceEvent(loading, failed('gpu', 1))).toBe(loading);
  });

  it('leaves the adapters of the one before it; another one that is ready has none of them', () => {
    const late: PageAction = {
      type: 'page/adapters',
      adapters: [{ adapter: 'adapter-1', name: 'Run 1', r: 4, target_modules: [] }],
    };
    // What was loaded for the model before may be told once the page has asked for another.
    for (const before of [play(load, ready, late, other), play(load, ready, other, late)]) {
      const kept = reduceEvent(before, { type: 'error', id: 2, error, model_kept: 1 });
      expect(kept.adapters).toEqual(late.adapters);
      expect(reduceEvent(before, { ...ready, id: 2 }).adapters).toEqual([]);
      expect(reduceEvent(before, { type: 'error', id: 2, error }).adapters).toEqual([]);
    }
    // After a loss the same model is there again.
    const lost: EngineEvent = { type: 'device-lost', reason: 'Gone.' };
    expect(play(load, ready, late, lost, ready).adapters).toEqual(late.adapters);
    expect(play(load, ready, late, { ...other, recorded: true }).adapters).toEqual([]);
  });
});

describe('a load beside a model that is still loading', () => {
  const beside: PageAction = { ...load, type: 'page/load-model', id: 2, name: 'big', beside: true };
  const stopped: EngineError = {
    scope: 'model',
    code: 'cancelled',
    title: 'Stopped.',
    message: 'It is kept.',
  };

  it('is told of, and that one becoming ready does not take it back', () => {
    const state = play(load, beside, { type: 'error', id: 2, error: stopped }, ready);
    expect(state.nextModel).toBeUndefined();
    expect(state.model).toMatchObject({ id: 1, status: 'ready' });
    expect(state.errors.model).toEqual(stopped);
    expect(play(load, beside, { type: 'error', id: 2, error: stopped }, ready, beside).errors).toEqual({});
  });

  it('says so of a question that came too late for the one before', () => {
    const there: EngineEvent = { ...ready, id: 2 };
    const asked = play(load, ready, open(3), videoReady(3), beside, ask(4), there);
    expect(asked.answers.at(-1)?.status).toBe('failed');
    expect(asked.errors.ask).toMatchObject({ code: 'model-replaced' });
    expect(play(load, ready, open(3), videoReady(3), beside, there).errors).toEqual({});
  });

  it('takes what was said of that one with it, when it comes in its place', () => {
    const failed: EngineEvent = { type: 'error', id: 1, error: { ...stopped, code: 'failed' } };
    const state = play(load, beside, failed);
    expect(state).toMatchObject({ model: { id: 1, status: 'failed' }, nextModel: { id: 2 } });
    const there = reduceEvent(state, { ...ready, id: 2 });
    expect(there).toMatchObject({ model: { id: 2, status: 'ready' }, errors: {} });
  });
});

it('a recovery ends where the video that it still reads is cancelled', () => {
  const lost: EngineEvent = { type: 'device-lost', reason: 'Gone.' };
  const state = play(load, ready, open(2), videoReady(2), lost, ready, { type: 'page/cancel-video' });
  expect(state.video).toBeUndefined();
  expect(state.recovering).toBe(false);
  expect(state.errors.gpu?.code).toBe('device-recovered');
  const loading = play(load, ready, open(2), videoReady(2), lost, { type: 'page/cancel-video' });
  expect(loading.recovering).toBe(true);
  expect(reduceEvent(loading, ready).recovering).toBe(false);
});

it('a GPU that was lost twice leaves no model, and ends the answer', () => {
  const error: EngineError = {
    scope: 'gpu',
    code: 'device-lost-again',
    title: 'Twice.',
    message: 'Stopped.',
  };
  const state = play(load, ready, open(2), videoReady(2), ask(3), { type: 'error', id: 1, error });
  expect(state.model.status).toBe('failed');
  expect(runningAnswer(state)).toBeUndefined();
  expect(state.video?.status).toBe('ready');
});
