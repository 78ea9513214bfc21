import { describe, expect, it } from 'vitest';
import { createStore } from 'zustand/vanilla';
import { slotCount, tokenAtX } from '../../src/app/ask/entropy-chart';
import { parseSamples, type Sample } from '../../src/app/ask/sample-list';
import { applySampleQuestion, markSample, watchLabel } from '../../src/app/ask/samples';
import { nearestFrame } from '../../src/app/ask/use-playback';
import {
  formatBytes,
  formatDuration,
  formatProbability,
  formatTime,
  visibleToken,
} from '../../src/app/shared/format';
import {
  askedOptions,
  createDraftStore,
  DEFAULT_DRAFT,
  draftLabel,
  draftProblem,
  draftQuestion,
  editDraft,
  reviveDraft,
  settingProblem,
} from '../../src/app/store/draft';
import { type EngineState, INITIAL_ENGINE_STATE, type VideoState } from '../../src/app/store/engine-state';
import { nextTheme, reviveView } from '../../src/app/store/view';

const draft = { ...DEFAULT_DRAFT, text: ' Which? ', options: ['left', 'down', '', ''] };

describe('draft', () => {
  it('asks the filled options, trimmed, and none in free text', () => {
    expect(draftQuestion(draft)).toEqual({ text: 'Which?', options: ['left', 'down'], reasoning: true });
    expect(askedOptions({ ...draft, mode: 'free' })).toEqual([]);
  });

  it('says what is missing', () => {
    expect(draftProblem(draft)).toBeUndefined();
    expect(draftProblem({ ...draft, text: ' ' })).toMatch(/question/);
    expect(draftProblem({ ...draft, options: ['left', '', 'up'] })).toMatch(/option B/);
    expect(draftProblem({ ...draft, options: ['left', ''] })).toMatch(/second option/);
    // Multiple choice without any option is a question in free text.
    expect(draftProblem({ ...draft, options: ['', ''] })).toBeUndefined();
  });

  it('forgets a sample’s label when its words change, and keeps the user’s own', () => {
    const labelled = { ...draft, label: 1 };
    expect(draftLabel(labelled)).toBe('B');
    expect(draftLabel(editDraft(labelled, { text: 'Who?' }))).toBe('B');
    expect(draftLabel(editDraft({ ...labelled, fromSample: true }, { text: 'Who?' }))).toBeUndefined();
    expect(draftLabel({ ...labelled, label: 3 })).toBeUndefined();
  });

  it('comes back from storage, and survives whatever is found there', () => {
    expect(reviveDraft(JSON.parse(JSON.stringify({ ...draft, label: 1 })))).toEqual({ ...draft, label: 1 });
    for (const broken of [
      undefined,
      null,
      3,
      'x',
      [],
      { options: [1], settings: 7, label: 'B', mode: 'z' },
    ]) {
      expect(reviveDraft(broken)).toEqual(DEFAULT_DRAFT);
    }
    const settings = { temperature: -1, top_k: 1.5, top_p: 0.5, max_new_tokens: 1e9, seed: 3 };
    expect(reviveDraft({ settings }).settings).toEqual({ ...DEFAULT_DRAFT.settings, top_p: 0.5, seed: 3 });
  });

  it('knows the bounds of the settings', () => {
    expect(settingProblem('temperature', 0)).toBeUndefined();
    expect(settingProblem('top_p', 0)).toMatch(/0\.01 to 1/);
    expect(settingProblem('seed', 1.5)).toMatch(/whole number/);
    expect(settingProblem('max_new_tokens', Number.NaN)).toBeDefined();
  });

  it('revives the view', () => {
    expect(reviveView({ theme: 'dark', shading: 'none' })).toEqual({
      theme: 'dark',
      shading: 'none',
      sampling: 'uniform',
    });
    expect(reviveView('?')).toEqual({ theme: 'system', shading: 'entropy', sampling: 'uniform' });
    expect(reviveView({ sampling: '1fps', theme: 7 })).toEqual({
      theme: 'system',
      shading: 'entropy',
      sampling: '1fps',
    });
    expect(nextTheme(nextTheme(nextTheme('system')))).toBe('system');
  });
});

describe('samples', () => {
  const base = 'https://host.example/sub/samples/';

  it('reads the list, and the label as a letter or an option', () => {
    const [sample] = parseSamples(
      [
        {
          file: 'a.mp4',
          title: 'A',
          questions: [
            { question: 'Which?', options: ['A. left', 'B. down'], answer: 'B', family: 'direction' },
            { question: 'Which?', options: ['left', 'down'], answer: 'left', family: 'direction' },
            { question: 'Why?' },
          ],
        },
      ],
      base,
    );
    expect(sample).toMatchObject({ url: `${base}a.mp4`, fileName: 'a.mp4' });
    expect(sample?.questions.map(({ options, label }) => [options, label])).toEqual([
      [['left', 'down'], 1],
      [['left', 'down'], 0],
      [[], -1],
    ]);
  });

  it('leaves out what is no sample', () => {
    expect(parseSamples({ a: 1 }, base)).toEqual([]);
    expect(parseSamples([null, 3, {}, { file: 4 }], base)).toEqual([]);
  });

  it('fills the editor', () => {
    const store = createDraftStore(false);
    applySampleQuestion(store, { question: 'Which?', options: ['x', 'y'], label: 1, family: '' });
    expect(store.getState()).toMatchObject({
      text: 'Which?',
      options: ['x', 'y'],
      label: 1,
      fromSample: true,
    });
    applySampleQuestion(store, { question: 'Why?', options: [], label: -1, family: '' });
    expect(store.getState()).toMatchObject({ mode: 'free', text: 'Why?' });
    expect(store.getState().label).toBeUndefined();
  });

  it("keeps a sample's label for samples alone", () => {
    const draft = createDraftStore(false);
    const engine = createStore<EngineState>(() => INITIAL_ENGINE_STATE);
    watchLabel(engine, draft);
    const question = { question: 'Which?', options: ['x', 'y'], label: 1, family: '' };
    const show = (file: Blob, status: VideoState['status']) =>
      engine.setState({
        video: { id: 1, status, name: 'v', file, url: '', sampling: 'uniform', frames: [] },
      });
    const [clip, own] = [new Blob(['clip']), new Blob(['own'])];
    markSample(clip, { fileName: 'clip.mp4', questions: [question] } as unknown as Sample);
    applySampleQuestion(draft, question);
    show(clip, 'ready');
    // One that cannot be read leaves everything as it was.
    show(own, 'reading');
    expect(draft.getState().label).toBe(1);
    show(own, 'ready');
    expect(draft.getState()).toMatchObject({ text: 'Which?', options: ['x', 'y'], fromSample: true });
    expect(draft.getState()).not.toHaveProperty('label');
    // A label of the user's own stays.
    draft.setState({ label: 0, fromSample: false });
    show(new Blob(['another']), 'ready');
    expect(draft.getState().label).toBe(0);
    // One that came with a link to a sample does not outlive the sample.
    show(clip, 'ready');
    expect(draft.getState().label).toBe(0);
    show(new Blob(['a third']), 'ready');
    expect(draft.getState()).not.toHaveProperty('label');
  });
});

describe('small helpers', () => {
  it('formats', () => {
    expect([0, 999, 3_250_000, 190_000_000, 999_600_000].map(formatBytes)).toEqual([
      '0 B',
      '999 B',
      '3.25 MB',
      '190 MB',
      '1.00 GB',
    ]);
    expect([84.4, 1234, 12345].map(formatDuration)).toEqual(['84 ms', '1.23 s', '12.3 s']);
    expect([1.375, 125, 7322].map(formatTime)).toEqual(['1.38 s', '2:05', '2:02:02']);
    expect([0, 0.001, 0.5].map(formatProbability)).toEqual(['0.00', '<0.01', '0.50']);
    expect([' a', '\n', ''].map(visibleToken)).toEqual(['␣a', '⏎', '∅']);
  });

  it('finds frames and tokens', () => {
    expect(nearestFrame([0, 0.25, 0.5], 0.3)).toBe(1);
    expect(nearestFrame([], 1)).toBe(-1);
    expect(slotCount(10, true)).toBe(36);
    expect(slotCount(100, false)).toBe(100);
    expect(slotCount(37, true)).toBeGreaterThan(37);
    expect([tokenAtX(0, 360, 5, true), tokenAtX(49, 360, 5, true), tokenAtX(51, 360, 5, true)]).toEqual([
      0, 4, -1,
    ]);
  });
});
